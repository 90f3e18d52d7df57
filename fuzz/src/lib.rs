//! Fuzz targets: each calls one property of `tally-check`.
