//! What a project says of repositories of packages, and of tests of images.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;

use crate::Location;

/// `[resources]`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Repositories {
    /// Repositories by name; those of sets are among them.
    pub repositories: BTreeMap<String, Repository>,
    /// Sets: the names of their repositories, in the template's order.
    pub sets: BTreeMap<String, Vec<String>>,
}

/// A repository of packages (rpm-md).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Repository {
    /// One line for people.
    pub description: String,
    /// Its address; one of this and `metalink` is there.
    pub base_uri: Option<String>,
    /// Address of a list of mirrors.
    pub metalink: Option<String>,
    /// The key of its signatures: a URL.
    pub gpg_key: Option<String>,
    /// Are signatures checked?
    pub check_signatures: bool,
    /// Architectures that it is for; none: all.
    pub arches: Vec<String>,
    /// What is in it: `binary`, `debug` or `source`.
    pub kind: String,
}

/// `[test-suites.NAME]`.
#[derive(Debug, Clone, Serialize)]
pub struct TestSuite {
    /// One line for people.
    pub description: String,
    /// What runs it.
    pub runner: TestRunner,
    /// Where it is written.
    pub defined_at: Location,
}

/// What runs a suite of tests.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum TestRunner {
    /// pytest.
    Pytest {
        /// Where it runs. Absolute.
        working_dir: Option<PathBuf>,
        /// Files of tests, or patterns of such, below that folder.
        test_paths: Vec<String>,
        /// Arguments.
        arguments: Vec<String>,
        /// What says which modules it needs: `pyproject`, `requirements` or `none`.
        install: Option<String>,
    },
    /// LISA.
    Lisa {
        /// Address of LISA's repository.
        git: String,
        /// Its commit, 40 hexadecimal digits.
        commit: String,
        /// What to run.
        cases: Vec<String>,
        /// Modules to install first.
        modules: Vec<String>,
        /// Extras of LISA.
        extras: Vec<String>,
        /// Arguments.
        arguments: Vec<String>,
    },
}
