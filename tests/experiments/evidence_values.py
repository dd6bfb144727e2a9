"""Texts and numbers as the linear models under the network take them."""

import base64

import numpy as np

# Sums of some tens of float32 (measured: 2e-8).
SUM_TOLERANCE = 2e-6


def padded(texts, width):
    tokens = np.zeros((len(texts), width), np.int32)
    for row in range(len(texts)):
        tokens[row, : len(texts[row])] = texts[row]
    return tokens


def coded(array, kind):
    return base64.b64encode(np.asarray(array, kind).tobytes()).decode()
