"""The LSTM for images: both products are convolutions."""

import dataclasses

from rnnjax.cells.peephole_lstm import PeepholeLSTM
from rnnjax.maps import Conv, Map


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvLSTM(PeepholeLSTM):
    """Convolutional LSTM; the gate blocks are in the order i, f, g, o, each with C channels.

        i, f, g, o = split(conv(x_t, W) + conv(h_{t-1}, R) + b)
        c_t = sigmoid(f + p_f * c_{t-1}) * c_{t-1} + sigmoid(i + p_i * c_{t-1}) * tanh(g)
        h_t = sigmoid(o + p_o * c_t) * tanh(c_t)

    over 1 to 3 spatial axes, one for each size in `window`: inputs `(*spatial, C_in)`, state `(*spatial, C)`, stride 1,
    zero padding. The size of the layer is the shape of the state: `RNN(ConvLSTM(), (16, 16, 8))`.

    `peepholes=True` gives the paper's cell, with p `(*spatial, C)`; the other options are those of `PeepholeLSTM`. The
    default has no peepholes, as in Keras and Flax: peepholes have weights for each position, so they fix the image size
    and make the cell position-dependent. For different windows in the two convolutions, use
    `LSTM(input_map=Conv((5, 5)), recurrent_map=Conv((3, 3)))`.

    Source: Shi, Chen, Wang, Yeung, Wong and Woo 2015, "Convolutional LSTM Network: A Machine Learning Approach for
    Precipitation Nowcasting". Raises ValueError for a window of no or more than three axes, or a size below 1, and as
    `PeepholeLSTM`.
    """

    window: tuple[int, ...] = (3, 3)
    peepholes: bool = False
    # Derived from the window, so not an argument: `dataclasses.replace` may change the window.
    input_map: Map = dataclasses.field(init=False)
    recurrent_map: Map | None = dataclasses.field(init=False)

    def __post_init__(self):
        super().__post_init__()
        convolution = Conv(self.window)
        for name, value in (
            ("window", convolution.window),
            ("input_map", convolution),
            ("recurrent_map", convolution),
        ):
            object.__setattr__(self, name, value)
