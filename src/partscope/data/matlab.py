"""Values of MATLAB's `.mat` files as plain lists, dictionaries, texts and arrays."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from partscope.errors import DataError
from partscope.matlab5 import read_version5


def read_mat(path: Path, name: str, only: Collection[int] | None = None) -> Any:
    """One variable of a `.mat` file of version 5, or 7.3 where h5py is installed; nothing in it is run.

    Struct arrays become lists of dictionaries (of one, if it is a single struct), cells lists, both in
    MATLAB's order; text becomes `str`; numbers stay arrays in MATLAB's shape; what is empty is `[]`.

    Args:
        path: the file.
        name: the variable, e.g. ``anno``.
        only: where the variable is a struct array of version 7.3, its rows to read; the others are empty.

    Raises:
        DataError: the file is missing, damaged, no `.mat` file or without that variable, or h5py is needed.
    """
    doing = f"reading {name!r} of {str(path)!r}"
    try:
        if path.stat().st_size == 0:
            raise ValueError("an empty file")
        with path.open("rb") as file:
            newer = b"MATLAB 7.3" in file.read(128)
        if newer:
            return _read_hdf5(path, name, only, doing)
        there, value, found = read_version5(path.read_bytes(), name)
        if there:
            return value
    except DataError:
        raise
    except Exception as error:  # on damaged bytes h5py raises nearly every kind
        raise DataError(
            doing,
            f"{type(error).__name__}: {error}",
            "restore the .mat file that its publisher gives",
        ) from error
    raise _without(name, found, doing)


def _without(name: str, found: list[str], doing: str) -> DataError:
    return DataError(
        doing,
        f"a .mat file of another kind, with {', '.join(map(repr, found)) or 'nothing'} and no {name!r}",
        "give the file that the data set's publisher gives, or remove this one",
    )


def _read_hdf5(path: Path, name: str, only: Collection[int] | None, doing: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise DataError(
            doing,
            "a .mat file of version 7.3 (HDF5), and h5py is not installed",
            "pip install 'partscope[matlab]', or save it in MATLAB with -v7",
        ) from None
    with h5py.File(path, "r") as file:
        if name in file:
            return _plain_hdf5(file, file[name], h5py.ref_dtype, only)
        found = [key for key in file if not key.startswith("#")]
    raise _without(name, found, doing)


def _plain_hdf5(file: Any, node: Any, reference: Any, only: Collection[int] | None = None) -> Any:
    """A struct is a group, a struct array a group of columns of references; arrays are stored transposed."""
    kind = node.attrs.get("MATLAB_class", b"")
    if hasattr(node, "keys"):
        columns = {key: node[key] for key in node}
        arrays = [c for c in columns.values() if getattr(c, "dtype", None) == reference and not c.attrs]
        if columns and len(arrays) == len(columns):
            refs = {key: column[()].T.ravel(order="F") for key, column in columns.items()}
            count = len(next(iter(refs.values())))
            return [
                {key: _plain_hdf5(file, file[column[i]], reference) for key, column in refs.items()}
                if only is None or i in only
                else {}
                for i in range(count)
            ]
        return [{key: _plain_hdf5(file, child, reference) for key, child in columns.items()}]
    if node.attrs.get("MATLAB_empty", 0):
        return "" if kind == b"char" else []
    values = node[()].T
    if node.dtype == reference:
        return [_plain_hdf5(file, file[item], reference) for item in values.ravel(order="F")]
    return "".join(map(chr, values.ravel(order="F"))) if kind == b"char" else values
