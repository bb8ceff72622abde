//! Writers: a tree, or a file made from one, in → the bytes of a format out. None has an opinion about the image.

pub mod cpio;
pub mod esp;
pub mod gpt;
pub(crate) mod hashed;
pub mod oci;
pub mod qcow2;
pub mod sparse;
pub mod tar;
pub mod uki;
pub mod vhd;
pub mod vhdx;
