"""Presets to the Hugging Face Hub and back, through its own client.

A push is one commit, so that no reader ever sees half a preset:
`HfApi.upload_folder` would send several. A pull goes through the client's
cache, and every file is checked against its checksum before it is handed on.

The endpoint, the cache, the token and the offline mode are the client's own:
`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`. Large files go through
the Hub's Xet storage, or by plain HTTP where that cannot be reached or
`HF_HUB_DISABLE_XET=1` forbids it. Nothing here imports Keras, and the client
is imported on first use.
"""

from keras_audiogan.zoo.hub_errors import HubError
from keras_audiogan.zoo.hub_files import HubURI, parse_uri
from keras_audiogan.zoo.hub_pull import pull
from keras_audiogan.zoo.hub_push import upload_preset

__all__ = ["HubError", "HubURI", "parse_uri", "pull", "upload_preset"]
