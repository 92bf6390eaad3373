"""Data sets from their public homes, in the layout that the cards expect.

`collect("fsdd", "fsdd")` fetches, prepares and checks one. Nothing here
imports Keras.
"""

from keras_audiogan._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "COLLECTIONS": "catalogue",
        "Collected": "prepare",
        "Collection": "catalogue",
        "CollectionError": "catalogue",
        "collect": "prepare",
        "downloads_of": "prepare",
    },
)
