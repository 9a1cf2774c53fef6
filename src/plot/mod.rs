//! Pictures of results: rasters, rates, traces, lattice activity; SVG and PNG.
