//! Plan → Packages. Being written.
pub mod packages;
pub use packages::{BuiltPackage, Kind, Packages};
