"""Files of the sales of two shops, with columns for the past, known ones, and static ones."""

import numpy as np

COUNT, HORIZON = 120, 3
SHOPS = {"north": ("cold", 1), "south": ("warm", 4)}


def write(path, *, count=COUNT, known=HORIZON, shops=None, change=None):
    """A file of so many values for each shop, and so many rows of known columns after them.

    `change(row)` may change a row, a dict of the columns.
    """
    columns = ["date", "shop", "value", "visits", "promo", "price", "climate", "size"]
    lines = [",".join(columns)]
    for shop, (climate, size) in (shops or SHOPS).items():
        rng = np.random.default_rng(sum(map(ord, shop)))
        for day in range(COUNT + HORIZON):
            promo, price, visits, noise = rng.normal(size=4).round(4)
            value = f"{50 + 3 * np.sin(2 * np.pi * day / 7) + 4 * promo + noise:.5f}"
            if day >= count + known:
                continue
            rows = [np.datetime64("2001-01-01") + day, shop, value, visits, promo, price, climate, size]
            row = dict(zip(columns, rows, strict=True))
            if day >= count:
                row |= {"value": "", "visits": ""}
            row |= change(row) or {} if change else {}
            lines.append(",".join(str(row[name]) for name in columns))
    path.write_text("\n".join(lines) + "\n")
    return path
