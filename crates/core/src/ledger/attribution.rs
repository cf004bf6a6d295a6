//! Attribution: whose audience bought a line.
