"""Who goes with whom, so that the sum of what is gained is as large as can be.

Solved exactly. Most rows and columns have nobody else to go with and are paired at once; only what is left,
where several want the same, goes through the shortest augmenting paths of Jonker and Volgenant, "A shortest
augmenting path algorithm for dense and sparse linear assignment problems" (Computing 38, 1987). In plain
Python: for the two or three that quarrel in a frame that is faster than numpy.
"""

from collections.abc import Sequence
from math import inf

from edgecnn.results import Array


def assign(gain: Array) -> list[tuple[int, int]]:
    """The pairs (row, column) with the largest sum of gains; each row and column in one pair at most.

    Args:
        gain: (n, m), finite. Where it is 0 or less, the two never go together. n and m may be 0.

    Returns:
        The pairs in the order of their rows. Rows and columns in none of them stay alone.
    """
    rows, columns = (gain > 0).nonzero()
    wanted = list(zip(rows.tolist(), columns.tolist(), strict=True))
    of_row: dict[int, list[int]] = {}
    of_column: dict[int, list[int]] = {}
    for row, column in wanted:
        of_row.setdefault(row, []).append(column)
        of_column.setdefault(column, []).append(row)
    pairs: list[tuple[int, int]] = []
    done: set[int] = set()
    for row, column in wanted:
        if row in done:
            continue
        if len(of_row[row]) == 1 and len(of_column[column]) == 1:
            pairs.append((row, column))
            done.add(row)
            continue
        group, others = _linked(row, of_row, of_column)
        done.update(group)
        table = [[max(0.0, float(gain[a, b])) for b in others] for a in group]
        pairs += [(group[a], others[b]) for a, b in _best(table) if table[a][b] > 0]
    return sorted(pairs)


def _linked(
    row: int, of_row: dict[int, list[int]], of_column: dict[int, list[int]]
) -> tuple[list[int], list[int]]:
    """All rows and columns that hang together with a row, in ascending order."""
    rows, columns, waiting = {row}, set[int](), [row]
    while waiting:
        for column in of_row[waiting.pop()]:
            if column not in columns:
                columns.add(column)
                new = [other for other in of_column[column] if other not in rows]
                rows.update(new)
                waiting += new
    return sorted(rows), sorted(columns)


def _best(gain: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """One column for each row (one row for each column, if there are fewer of these), at the largest sum."""
    if len(gain) > len(gain[0]):
        turned = [list(column) for column in zip(*gain, strict=True)]
        return [(row, column) for column, row in _best(turned)]
    width = len(gain[0])
    # prices of rows and columns; the cost of a pair less both is never negative, and 0 in the solution
    row_price, column_price = [0.0] * len(gain), [0.0] * width
    owner: list[int] = [-1] * width
    for newcomer in range(len(gain)):
        shortest, before = [inf] * width, [-1] * width
        settled: list[int] = []
        free = set(range(width))
        row, last, reached = newcomer, -1, 0.0
        while True:
            for column in free:
                length = reached - gain[row][column] - row_price[row] - column_price[column]
                if length < shortest[column]:
                    shortest[column], before[column] = length, last
            nearest = min(free, key=shortest.__getitem__)
            reached = shortest[nearest]
            free.remove(nearest)
            if owner[nearest] < 0:
                break
            settled.append(nearest)
            row, last = owner[nearest], nearest
        row_price[newcomer] += reached
        for column in settled:
            slack = reached - shortest[column]
            row_price[owner[column]] += slack
            column_price[column] -= slack
        column = nearest
        while before[column] >= 0:
            owner[column] = owner[before[column]]
            column = before[column]
        owner[column] = newcomer
    return [(row, column) for column, row in enumerate(owner) if row >= 0]
