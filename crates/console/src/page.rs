//! The pages, as HTML. Pure: data in, markup out. Escaping is maud's.

pub mod application;
pub mod applications;
mod badge;
mod layout;
pub mod text;

pub use layout::{Live, failure};
