"""What the layers on flat inputs share: each image is one row, and an example is one column of features."""

from theory.layers.layer import Array, Layer, Shape


class Flat(Layer, abstract=True):
    """Base of fully connected layers whose first features are the inputs themselves."""

    single_column = True

    def arrange(self, images: Array) -> Array:
        """Each image as one row."""
        return images.reshape((len(images), -1))

    def positions(self, input_shape: Shape) -> Shape:
        """None: one output per example."""
        return ()

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """The first features, one per input."""
        return [list(range(input_shape[0]))]
