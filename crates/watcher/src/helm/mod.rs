//! Helm repositories.

pub mod index;
