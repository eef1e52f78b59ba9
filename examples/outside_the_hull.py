"""How far outside the convex hull of the training images are the test images? Every answer comes with a certificate."""

import sys

import numpy as np

import closedflow as cf
from empirical.data import digits, read_images


def main(paths):
    train, test = (read_images(path).flat for path in paths) if paths else np.split(digits().flat[:340], [300])
    found = cf.distance(test, train, kind="convex")
    print(f"{(found.status == 'outside').sum()} of {len(test)} test images are outside the hull of {len(train)}")
    print(f"certificates hold: {bool(np.all(found.verify()))}")
    counts, edges = np.histogram(found.upper, bins=8)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        print(f"distance {low:5.2f} to {high:5.2f}  {'█' * count}")
    inside = cf.distance(train.mean(0, keepdims=True), train, kind="convex")
    print(f"the control, the mean of all training images: {inside.status[0]}")


if __name__ == "__main__":
    main(sys.argv[1:])
