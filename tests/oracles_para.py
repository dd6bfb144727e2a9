"""Oracles of the cells whose recurrent weights are vectors: see `oracles.py`."""

import numpy as np
from oracle import Oracle, logistic


def para_gru() -> Oracle:
    def gates(p, x, h):
        a_z, a_r, a_c = np.split(x @ p["kernel"] + p["bias"], 3)
        z, r = logistic(a_z + p["update_weight"] * h), logistic(a_r + p["reset_weight"] * h)
        return z, r, np.tanh(a_c + p["candidate_weight"] * r * h)

    def step(p, x, state):
        (h,) = state
        z, _, c = gates(p, x, h)
        return (h + z * (c - h),)

    def back(p, x, state, d_state):
        (h,), (d_h,) = state, d_state
        z, r, c = gates(p, x, h)
        d_z = d_h * (c - h) * z * (1 - z)
        d_c = d_h * z * (1 - c**2)
        d_r = d_c * p["candidate_weight"] * h * r * (1 - r)
        d_a = np.concatenate([d_z, d_r, d_c])
        d_params = {
            "kernel": np.outer(x, d_a),
            "bias": d_a,
            "update_weight": d_z * h,
            "reset_weight": d_r * h,
            "candidate_weight": d_c * r * h,
        }
        recurrent = d_z * p["update_weight"] + d_r * p["reset_weight"] + d_c * p["candidate_weight"] * r
        return d_params, p["kernel"] @ d_a, (d_h * (1 - z) + recurrent,)

    return Oracle(step, back)


def para_lstm() -> Oracle:
    def gates(p, x, state):
        h, c = state
        a_f, a_g, a_o = np.split(x @ p["kernel"] + p["bias"], 3)
        f = logistic(a_f + p["forget_weight"] * h + p["forget_peephole"] * c)
        g = np.tanh(a_g + p["candidate_weight"] * h)
        after = f * c + (1 - f) * g
        return f, g, logistic(a_o + p["output_weight"] * h + p["output_peephole"] * after), after

    def step(p, x, state):
        _, _, o, after = gates(p, x, state)
        return o * np.tanh(after), after

    def back(p, x, state, d_state):
        (h, c), (d_h, d_after) = state, d_state
        f, g, o, after = gates(p, x, state)
        d_o = d_h * np.tanh(after) * o * (1 - o)
        d_after = d_after + d_h * o * (1 - np.tanh(after) ** 2) + d_o * p["output_peephole"]
        d_f = d_after * (c - g) * f * (1 - f)
        d_g = d_after * (1 - f) * (1 - g**2)
        d_a = np.concatenate([d_f, d_g, d_o])
        d_params = {
            "kernel": np.outer(x, d_a),
            "bias": d_a,
            "forget_weight": d_f * h,
            "candidate_weight": d_g * h,
            "output_weight": d_o * h,
            "forget_peephole": d_f * c,
            "output_peephole": d_o * after,
        }
        d_before = d_f * p["forget_weight"] + d_g * p["candidate_weight"] + d_o * p["output_weight"]
        return d_params, p["kernel"] @ d_a, (d_before, d_after * f + d_f * p["forget_peephole"])

    return Oracle(step, back)


ORACLES: dict[str, Oracle] = {"para_gru": para_gru(), "para_lstm": para_lstm()}
