//! From merged tables to what a project is made of, a file a subject.

pub(crate) mod component;
mod container;
pub(crate) mod definition;
mod disk;
pub(crate) mod image;
mod live;
mod os;
pub(crate) mod overlay;
pub(crate) mod resource;
mod scripts;
pub(crate) mod settings;
mod source_file;
