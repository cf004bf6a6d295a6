//! Promises as a region and a rig watch them, from cells; and the parts that can be told apart.
