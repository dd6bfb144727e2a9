"""NumPy float64 oracles: every cell's equations and their derivatives by hand; nothing is shared with the library."""

from collections.abc import Callable

import numpy as np
import oracles_further
import oracles_para
from oracle import Oracle, logistic, lstm_gates


def elman(activation: Callable, slope: Callable) -> Oracle:
    """`slope` is the activation's derivative, of what goes into it."""

    def z(p, x, h):
        return x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"]

    def step(p, x, state):
        return (activation(z(p, x, *state)),)

    def back(p, x, state, d_state):
        (h,), (d_h,) = state, d_state
        d_z = d_h * slope(z(p, x, h))
        d_params = {"kernel": np.outer(x, d_z), "recurrent_kernel": np.outer(h, d_z), "bias": d_z}
        return d_params, p["kernel"] @ d_z, (p["recurrent_kernel"] @ d_z,)

    return Oracle(step, back)


def lstm() -> Oracle:
    def step(p, x, state):
        h, c = state
        i, f, g, o = lstm_gates(p, x, h)
        c = f * c + i * g
        return o * np.tanh(c), c

    def back(p, x, state, d_state):
        (h, c), (d_h, d_c) = state, d_state
        i, f, g, o = lstm_gates(p, x, h)
        tanh_c = np.tanh(f * c + i * g)
        d_c = d_c + d_h * o * (1 - tanh_c**2)
        d_i, d_f, d_g, d_o = d_c * g, d_c * c, d_c * i, d_h * tanh_c
        d_z = np.concatenate([d_i * i * (1 - i), d_f * f * (1 - f), d_g * (1 - g**2), d_o * o * (1 - o)])
        d_params = {"kernel": np.outer(x, d_z), "recurrent_kernel": np.outer(h, d_z), "bias": d_z}
        return d_params, p["kernel"] @ d_z, (p["recurrent_kernel"] @ d_z, d_c * f)

    return Oracle(step, back)


def gru() -> Oracle:
    def gates(p, x, h):
        a_r, a_z, a_n = np.split(x @ p["kernel"] + p["bias"], 3)
        r_r, r_z, r_n = np.split(h @ p["recurrent_kernel"] + p["recurrent_bias"], 3)
        r, z = logistic(a_r + r_r), logistic(a_z + r_z)
        return r, z, np.tanh(a_n + r * r_n), r_n

    def step(p, x, state):
        (h,) = state
        _, z, n, _ = gates(p, x, h)
        return ((1 - z) * n + z * h,)

    def back(p, x, state, d_state):
        (h,), (d_h,) = state, d_state
        r, z, n, r_n = gates(p, x, h)
        d_n = d_h * (1 - z) * (1 - n**2)
        d_z = d_h * (h - n) * z * (1 - z)
        d_r = d_n * r_n * r * (1 - r)
        d_input, d_recurrent = np.concatenate([d_r, d_z, d_n]), np.concatenate([d_r, d_z, d_n * r])
        d_params = {
            "kernel": np.outer(x, d_input),
            "recurrent_kernel": np.outer(h, d_recurrent),
            "bias": d_input,
            "recurrent_bias": d_recurrent,
        }
        return d_params, p["kernel"] @ d_input, (p["recurrent_kernel"] @ d_recurrent + d_h * z,)

    return Oracle(step, back)


def peephole_lstm(*without: str, coupled: bool = False) -> Oracle:
    """`without` names gates, "peepholes", or the activation "tanh_g" or "tanh_c"; what is left are the parameters."""
    names = [name for name in "ifgo" if name not in without and not (coupled and name == "f")]
    fields = {"i": "input_peephole", "f": "forget_peephole", "o": "output_peephole"}

    def squash(name, x):
        return (x, np.ones_like(x)) if name in without else (np.tanh(x), 1 - np.tanh(x) ** 2)

    def gates(p, x, state):
        """The gates and the new cell; a gate that is not there is 1."""
        h, c = state
        z = dict(zip(names, np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], len(names)), strict=True))
        weight = {gate: np.zeros_like(c) if "peepholes" in without else p.get(fields[gate]) for gate in "ifo"}
        i = logistic(z["i"] + weight["i"] * c) if "i" in z else np.ones_like(c)
        f = 1 - i if coupled else logistic(z["f"] + weight["f"] * c) if "f" in z else np.ones_like(c)
        g, slope = squash("tanh_g", z["g"])
        after = f * c + i * g
        o = logistic(z["o"] + weight["o"] * after) if "o" in z else np.ones_like(c)
        return i, f, g, o, slope, after, weight

    def step(p, x, state):
        _, _, _, o, _, after, _ = gates(p, x, state)
        return o * squash("tanh_c", after)[0], after

    def back(p, x, state, d_state):
        (h, c), (d_h, d_after) = state, d_state
        i, f, g, o, slope, after, weight = gates(p, x, state)
        squashed, slope_after = squash("tanh_c", after)
        d_z, seen = {}, {"i": c, "f": c, "o": after}
        d_after = d_after + d_h * o * slope_after
        if "o" in names:
            d_z["o"] = d_h * squashed * o * (1 - o)
            d_after = d_after + d_z["o"] * weight["o"]
        d_z["g"] = d_after * i * slope
        d_c = d_after * f
        if "i" in names:
            d_z["i"] = d_after * (g - c if coupled else g) * i * (1 - i)
            d_c = d_c + d_z["i"] * weight["i"]
        if "f" in names:
            d_z["f"] = d_after * c * f * (1 - f)
            d_c = d_c + d_z["f"] * weight["f"]
        d_all = np.concatenate([d_z[name] for name in names])
        d_params = {"kernel": np.outer(x, d_all), "recurrent_kernel": np.outer(h, d_all), "bias": d_all}
        d_params |= {fields[gate]: d_z[gate] * seen[gate] for gate in d_z if fields.get(gate) in p}
        return d_params, p["kernel"] @ d_all, (p["recurrent_kernel"] @ d_all, d_c)

    return Oracle(step, back)


def layer_norm_lstm() -> Oracle:
    def normalise(x):
        """The normalised row, and the derivative as a map of cotangents."""
        scale = 1 / np.sqrt(x.var() + 1e-5)
        n = (x - x.mean()) * scale
        return n, lambda d_n: scale * (d_n - d_n.mean() - n * (d_n * n).mean())

    def forward(p, x, h, c):
        a, back_a = normalise(x @ p["kernel"])
        r, back_r = normalise(h @ p["recurrent_kernel"])
        i, f, g, o = np.split(p["input_gain"] * a + p["recurrent_gain"] * r + p["shift"], 4)
        i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
        after = f * c + i * g
        n, back_n = normalise(after)
        return (a, r, n), (back_a, back_r, back_n), (i, f, g, o), after, np.tanh(p["cell_gain"] * n + p["cell_shift"])

    def step(p, x, state):
        *_, (_, _, _, o), after, out = forward(p, x, *state)
        return o * out, after

    def back(p, x, state, d_state):
        (h, c), (d_h, d_after) = state, d_state
        (a, r, n), (back_a, back_r, back_n), (i, f, g, o), _, out = forward(p, x, h, c)
        d_out = d_h * o * (1 - out**2)
        d_after = d_after + back_n(d_out * p["cell_gain"])
        d_i, d_f, d_g, d_o = d_after * g, d_after * c, d_after * i, d_h * out
        d_z = np.concatenate([d_i * i * (1 - i), d_f * f * (1 - f), d_g * (1 - g**2), d_o * o * (1 - o)])
        d_a, d_r = back_a(d_z * p["input_gain"]), back_r(d_z * p["recurrent_gain"])
        d_params = {
            "kernel": np.outer(x, d_a),
            "recurrent_kernel": np.outer(h, d_r),
            "input_gain": d_z * a,
            "recurrent_gain": d_z * r,
            "shift": d_z,
            "cell_gain": d_out * n,
            "cell_shift": d_out,
        }
        return d_params, p["kernel"] @ d_a, (p["recurrent_kernel"] @ d_r, d_after * f)

    return Oracle(step, back)


def mgu() -> Oracle:
    def gates(p, x, h):
        a_f, a_n = np.split(x @ p["kernel"] + p["bias"], 2)
        r_f, r_n = np.split(h @ p["recurrent_kernel"] + p["recurrent_bias"], 2)
        f = logistic(a_f + r_f)
        return f, np.tanh(a_n + f * r_n), r_n

    def step(p, x, state):
        (h,) = state
        f, n, _ = gates(p, x, h)
        return ((1 - f) * h + f * n,)

    def back(p, x, state, d_state):
        (h,), (d_h,) = state, d_state
        f, n, r_n = gates(p, x, h)
        d_n = d_h * f * (1 - n**2)
        d_f = (d_h * (n - h) + d_n * r_n) * f * (1 - f)
        d_input, d_recurrent = np.concatenate([d_f, d_n]), np.concatenate([d_f, d_n * f])
        d_params = {
            "kernel": np.outer(x, d_input),
            "recurrent_kernel": np.outer(h, d_recurrent),
            "bias": d_input,
            "recurrent_bias": d_recurrent,
        }
        return d_params, p["kernel"] @ d_input, (p["recurrent_kernel"] @ d_recurrent + d_h * (1 - f),)

    return Oracle(step, back)


def indrnn() -> Oracle:
    def z(p, x, h):
        return x @ p["kernel"] + p["recurrent_weight"] * h + p["bias"]

    def step(p, x, state):
        return (np.maximum(z(p, x, *state), 0),)

    def back(p, x, state, d_state):
        (h,), (d_h,) = state, d_state
        d_z = d_h * (z(p, x, h) > 0)
        d_params = {"kernel": np.outer(x, d_z), "recurrent_weight": d_z * h, "bias": d_z}
        return d_params, p["kernel"] @ d_z, (p["recurrent_weight"] * d_z,)

    return Oracle(step, back)


ORACLES: dict[str, Oracle] = (
    {
        "elman": elman(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
        "irnn": elman(lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
        "lstm": lstm(),
        "gru": gru(),
        "peephole_lstm": peephole_lstm(),
        "layer_norm_lstm": layer_norm_lstm(),
        "mgu": mgu(),
        "indrnn": indrnn(),
        "no_input_gate": peephole_lstm("i"),
        "no_forget_gate": peephole_lstm("f"),
        "no_output_gate": peephole_lstm("o"),
        "no_input_activation": peephole_lstm("tanh_g"),
        "no_output_activation": peephole_lstm("tanh_c"),
        "coupled": peephole_lstm(coupled=True),
        "no_peepholes": peephole_lstm("peepholes"),
    }
    | oracles_further.ORACLES
    | oracles_para.ORACLES
)
