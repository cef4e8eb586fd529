//! Runs with the funds that they make, and the versions that they carry out.

pub(super) mod runs;
pub(super) mod versions;
