//! Reading a stopped or damaged journal without changing it.
