//! `conformance solver-bench`
use anyhow::Result;
use crate::options::Options;
/// Todo next.
pub fn run(options: Options) -> Result<()> { options.words().map(drop) }
