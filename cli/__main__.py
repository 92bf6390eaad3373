"""`python -m keras_audiogan.cli`, the same as `audiogan`."""

from keras_audiogan.cli.main import main

if __name__ == "__main__":
    main(prog_name="audiogan")
