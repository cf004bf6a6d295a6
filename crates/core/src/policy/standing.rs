//! How the policy of a rig stands: in force, expired and in grace, or restricted; on trial, or fallen
//! back from.
