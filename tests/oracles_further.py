"""Oracles of the cells with a further product, several feature axes or exponential gates: see `oracles.py`."""

import numpy as np
from oracle import Oracle, logistic, lstm_gates


def lstmp() -> Oracle:
    def step(p, x, state):
        h, c = state
        i, f, g, o = lstm_gates(p, x, h)
        c = f * c + i * g
        return (o * np.tanh(c)) @ p["projection"], c

    def back(p, x, state, d_state):
        (h, c), (d_h, d_c) = state, d_state
        i, f, g, o = lstm_gates(p, x, h)
        tanh_c = np.tanh(f * c + i * g)
        d_out = p["projection"] @ d_h
        d_c = d_c + d_out * o * (1 - tanh_c**2)
        d_z = np.concatenate(
            [d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g**2), d_out * tanh_c * o * (1 - o)]
        )
        d_params = {
            "kernel": np.outer(x, d_z),
            "recurrent_kernel": np.outer(h, d_z),
            "bias": d_z,
            "projection": np.outer(o * tanh_c, d_h),
        }
        return d_params, p["kernel"] @ d_z, (p["recurrent_kernel"] @ d_z, d_c * f)

    return Oracle(step, back)


def gru_reset_before() -> Oracle:
    def gates(p, x, h):
        a_r, a_z, a_n = np.split(x @ p["kernel"] + p["bias"], 3)
        r_r, r_z = np.split(h @ p["recurrent_kernel"], 2)
        r, z = logistic(a_r + r_r), logistic(a_z + r_z)
        return r, z, np.tanh(a_n + (r * h) @ p["candidate_kernel"])

    def step(p, x, state):
        (h,) = state
        _, z, n = gates(p, x, h)
        return ((1 - z) * n + z * h,)

    def back(p, x, state, d_state):
        (h,), (d_h,) = state, d_state
        r, z, n = gates(p, x, h)
        d_n = d_h * (1 - z) * (1 - n**2)
        d_read = p["candidate_kernel"] @ d_n
        d_z = d_h * (h - n) * z * (1 - z)
        d_r = d_read * h * r * (1 - r)
        d_input, d_recurrent = np.concatenate([d_r, d_z, d_n]), np.concatenate([d_r, d_z])
        d_params = {
            "kernel": np.outer(x, d_input),
            "recurrent_kernel": np.outer(h, d_recurrent),
            "bias": d_input,
            "candidate_kernel": np.outer(r * h, d_n),
        }
        return d_params, p["kernel"] @ d_input, (p["recurrent_kernel"] @ d_recurrent + d_h * z + d_read * r,)

    return Oracle(step, back)


def full_gate_lstm() -> Oracle:
    names = ("input_peephole", "forget_peephole", "output_peephole")

    def gates(p, x, state):
        h, c, *before = state
        z_i, z_f, z_g, z_o = np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4)
        e_i, e_f, e_o = np.split(np.concatenate(before) @ p["gate_kernel"], 3)
        p_i, p_f, p_o = (p[name] for name in names)
        i, f, g = logistic(z_i + e_i + p_i * c), logistic(z_f + e_f + p_f * c), np.tanh(z_g)
        after = f * c + i * g
        return i, f, g, logistic(z_o + e_o + p_o * after), after

    def step(p, x, state):
        i, f, _, o, after = gates(p, x, state)
        return o * np.tanh(after), after, i, f, o

    def back(p, x, state, d_state):
        (h, c, *before), (d_h, d_after, d_i, d_f, d_o) = state, d_state
        i, f, g, o, after = gates(p, x, state)
        p_i, p_f, p_o = (p[name] for name in names)
        tanh_c = np.tanh(after)
        d_z_o = (d_o + d_h * tanh_c) * o * (1 - o)
        d_after = d_after + d_h * o * (1 - tanh_c**2) + d_z_o * p_o
        d_z_i = (d_i + d_after * g) * i * (1 - i)
        d_z_f = (d_f + d_after * c) * f * (1 - f)
        d_z = np.concatenate([d_z_i, d_z_f, d_after * i * (1 - g**2), d_z_o])
        d_e = np.concatenate([d_z_i, d_z_f, d_z_o])
        d_params = {
            "kernel": np.outer(x, d_z),
            "recurrent_kernel": np.outer(h, d_z),
            "bias": d_z,
            "gate_kernel": np.outer(np.concatenate(before), d_e),
            "input_peephole": d_z_i * c,
            "forget_peephole": d_z_f * c,
            "output_peephole": d_z_o * after,
        }
        d_c = d_after * f + d_z_i * p_i + d_z_f * p_f
        return d_params, p["kernel"] @ d_z, (p["recurrent_kernel"] @ d_z, d_c, *np.split(p["gate_kernel"] @ d_e, 3))

    return Oracle(step, back)


def multiplicative_lstm() -> Oracle:
    def gates(p, x, h):
        a, r, width = x @ p["kernel"] + p["bias"], h @ p["recurrent_kernel"], len(h)
        i, f, g, o = np.split(a[width:] + (a[:width] * r) @ p["gate_kernel"], 4)
        return a[:width], r, logistic(i), logistic(f), np.tanh(g), logistic(o)

    def step(p, x, state):
        h, c = state
        *_, i, f, g, o = gates(p, x, h)
        c = f * c + i * g
        return o * np.tanh(c), c

    def back(p, x, state, d_state):
        (h, c), (d_h, d_c) = state, d_state
        a_m, r, i, f, g, o = gates(p, x, h)
        tanh_c = np.tanh(f * c + i * g)
        d_c = d_c + d_h * o * (1 - tanh_c**2)
        d_z = np.concatenate(
            [d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g**2), d_h * tanh_c * o * (1 - o)]
        )
        d_m = p["gate_kernel"] @ d_z
        d_a = np.concatenate([d_m * r, d_z])
        d_params = {
            "kernel": np.outer(x, d_a),
            "recurrent_kernel": np.outer(h, d_m * a_m),
            "bias": d_a,
            "gate_kernel": np.outer(a_m * r, d_z),
        }
        return d_params, p["kernel"] @ d_a, (p["recurrent_kernel"] @ (d_m * a_m), d_c * f)

    return Oracle(step, back)


def cornn(dt: float = 0.3, gamma: float = 1.3, epsilon: float = 0.7) -> Oracle:
    def force(p, x, y, z):
        return np.tanh(x @ p["kernel"] + y @ p["recurrent_kernel"] + z @ p["velocity_kernel"] + p["bias"])

    def step(p, x, state):
        y, z = state
        after = z + dt * (force(p, x, y, z) - gamma * y - epsilon * z)
        return y + dt * after, after

    def back(p, x, state, d_state):
        (y, z), (d_y, d_z) = state, d_state
        d_after = d_z + dt * d_y
        d_force = dt * d_after * (1 - force(p, x, y, z) ** 2)
        d_params = {
            "kernel": np.outer(x, d_force),
            "recurrent_kernel": np.outer(y, d_force),
            "bias": d_force,
            "velocity_kernel": np.outer(z, d_force),
        }
        d_y = d_y - dt * gamma * d_after + p["recurrent_kernel"] @ d_force
        d_z = (1 - dt * epsilon) * d_after + p["velocity_kernel"] @ d_force
        return d_params, p["kernel"] @ d_force, (d_y, d_z)

    return Oracle(step, back)


def slstm(*, exponential: bool = False) -> Oracle:
    def places(kernel):
        """For each head's kernel, the row and column of the whole matrix `(H, 4H)` where each number stands."""
        heads, own, _ = kernel.shape
        rows = np.arange(heads * own).reshape(heads, own, 1)
        # A head's columns are gate by gate, and so are the matrix's, whose gates hold all heads.
        columns = np.arange(4 * heads * own).reshape(4, heads, own).swapaxes(0, 1).reshape(heads, 1, 4 * own)
        return rows, columns

    def matrix(kernel):
        whole = np.zeros((kernel.shape[0] * kernel.shape[1], kernel.shape[0] * kernel.shape[2]))
        whole[places(kernel)] = kernel
        return whole

    def gates(p, x, state):
        h, _, n, m = state
        i, f, g, o = np.split(x @ p["kernel"] + h @ matrix(p["recurrent_kernel"]) + p["bias"], 4)
        first = n == 0
        carried = m + (f if exponential else -np.log1p(np.exp(-f)))
        after = np.where(first, i, np.maximum(carried, i))
        kept = np.where(first, 0, np.exp(np.where(first, 0, carried - after)))
        return np.exp(i - after), kept, np.tanh(g), logistic(o), after, f, ~first & (carried > i)

    def step(p, x, state):
        _, c, n, _ = state
        i, f, g, o, m, *_ = gates(p, x, state)
        c, n = f * c + i * g, f * n + i
        return o * c / n, c, n, m

    def back(p, x, state, d_state):
        (h, c, n, _), (d_h, d_c, d_n, d_m) = state, d_state
        i, f, g, o, _, z_f, larger = gates(p, x, state)
        c_after, n_after = f * c + i * g, f * n + i
        d_o = d_h * c_after / n_after
        d_c = d_c + d_h * o / n_after
        d_n = d_n - d_h * o * c_after / n_after**2
        d_i, d_f = (d_c * g + d_n) * i, (d_c * c + d_n * n) * f
        d_m = d_m - d_i - d_f
        d_carried = d_f + larger * d_m
        d_z_f = d_carried * (1 if exponential else 1 - logistic(z_f))
        d_z = np.concatenate([d_i + ~larger * d_m, d_z_f, d_c * i * (1 - g**2), d_o * o * (1 - o)])
        d_params = {
            "kernel": np.outer(x, d_z),
            "recurrent_kernel": np.outer(h, d_z)[places(p["recurrent_kernel"])],
            "bias": d_z,
        }
        return d_params, p["kernel"] @ d_z, (matrix(p["recurrent_kernel"]) @ d_z, d_c * f, d_n * f, d_carried)

    return Oracle(step, back)


def conv_lstm() -> Oracle:
    def windows(x, kernel):
        """`x` within zeros, and for every place of the window what the whole of `x` meets there."""
        sizes = kernel.shape[:-2]
        padded = np.pad(x, [*(((size - 1) // 2, size // 2) for size in sizes), (0, 0)])
        return padded, {
            at: tuple(slice(first, first + length) for first, length in zip(at, x.shape, strict=False))
            for at in np.ndindex(*sizes)
        }

    def product(x, kernel):
        padded, places = windows(x, kernel)
        return sum(padded[place] @ kernel[at] for at, place in places.items())

    def product_back(x, kernel, d_y):
        padded, places = windows(x, kernel)
        d_kernel, d_padded = np.zeros_like(kernel), np.zeros_like(padded)
        for at, place in places.items():
            d_kernel[at] = padded[place].reshape(-1, x.shape[-1]).T @ d_y.reshape(-1, d_y.shape[-1])
            d_padded[place] += d_y @ kernel[at].T
        return d_kernel, d_padded[places[tuple((size - 1) // 2 for size in kernel.shape[:-2])]]

    def gates(p, x, state):
        h, c = state
        z = product(x, p["kernel"]) + product(h, p["recurrent_kernel"]) + p["bias"]
        z_i, z_f, z_g, z_o = np.split(z, 4, axis=-1)
        weights = [p.get(f"{gate}_peephole", np.zeros_like(c)) for gate in ("input", "forget", "output")]
        i, f, g = logistic(z_i + weights[0] * c), logistic(z_f + weights[1] * c), np.tanh(z_g)
        after = f * c + i * g
        return i, f, g, logistic(z_o + weights[2] * after), after, weights

    def step(p, x, state):
        _, _, _, o, after, _ = gates(p, x, state)
        return o * np.tanh(after), after

    def back(p, x, state, d_state):
        (h, c), (d_h, d_after) = state, d_state
        i, f, g, o, after, weights = gates(p, x, state)
        tanh_c = np.tanh(after)
        d_o = d_h * tanh_c * o * (1 - o)
        d_after = d_after + d_h * o * (1 - tanh_c**2) + d_o * weights[2]
        d_i, d_f = d_after * g * i * (1 - i), d_after * c * f * (1 - f)
        d_z = np.concatenate([d_i, d_f, d_after * i * (1 - g**2), d_o], axis=-1)
        d_kernel, d_x = product_back(x, p["kernel"], d_z)
        d_recurrent, d_read = product_back(h, p["recurrent_kernel"], d_z)
        d_params = {
            "kernel": d_kernel,
            "recurrent_kernel": d_recurrent,
            "bias": d_z.sum(axis=tuple(range(d_z.ndim - 1))),
        }
        peepholes = {"input_peephole": d_i * c, "forget_peephole": d_f * c, "output_peephole": d_o * after}
        d_params |= {name: gradient for name, gradient in peepholes.items() if name in p}
        return d_params, d_x, (d_read, d_after * f + d_i * weights[0] + d_f * weights[1])

    return Oracle(step, back)


ORACLES: dict[str, Oracle] = {
    "lstmp": lstmp(),
    "gru_reset_before": gru_reset_before(),
    "full_gate_lstm": full_gate_lstm(),
    "multiplicative_lstm": multiplicative_lstm(),
    "cornn": cornn(),
    "slstm": slstm(),
    "slstm_exponential": slstm(exponential=True),
    "conv_lstm": conv_lstm(),
    "conv_lstm_peepholes": conv_lstm(),
}
