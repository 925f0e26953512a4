//! To be written.

pub mod health;
pub mod judge;
pub mod order;
