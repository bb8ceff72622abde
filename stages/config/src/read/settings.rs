//! `[project]`, `[distros]`, groups, `[test-suites]` and `[keel]`, of all files together.

use std::collections::BTreeMap;

use crate::{
    ComponentGroup, DistroDefinition, DistroVersion, Group, PackageSettings, Project, Repositories, Stage0,
    TestRunner, TestSuite,
    model::is_plain_name,
    read::{component, overlay, resource},
    table::{Table, Text},
};

/// Reads what is neither a component nor an image into `project`.
pub(crate) fn read(root: &Table<'_>, project: &mut Project) {
    if let Some(table) = root.table("project") {
        project.description = table.string_or_empty("description");
        project.author = table.string("default-author-email");
        let folders = [
            ("output-dir", &mut project.output_dir),
            ("log-dir", &mut project.log_dir),
            ("work-dir", &mut project.work_dir),
            ("lock-dir", &mut project.lock_dir),
        ];
        for (key, folder) in folders {
            if let Some(path) = table.path(key) {
                *folder = path;
            }
        }
    }
    project.resources = resource::read(root);
    for (name, table) in root.named("distros") {
        let distro = distro(&table, &project.resources);
        project.distros.insert(name.to_owned(), distro);
    }
    if let Some(table) = root.table("default-package-config") {
        project.packages = component::package_settings(&table);
    }
    for (name, table) in root.named("package-groups") {
        project.package_groups.insert(name.to_owned(), group(&table));
    }
    for (name, table) in root.named("component-groups") {
        let group = component_group(&table);
        project.component_groups.insert(name.to_owned(), group);
    }
    for (name, table) in root.named("test-suites") {
        if let Some(suite) = test_suite(name, &table) {
            project.test_suites.insert(name.to_owned(), suite);
        }
    }
    let tools = root
        .table("tools")
        .and_then(|tools| tools.table("imageCustomizer"));
    project.image_customizer = tools.and_then(|tool| tool.string("containerTag"));
    if let Some(table) = root.table("keel") {
        keel(&table, project);
    }
}

fn distro(table: &Table<'_>, resources: &Repositories) -> DistroDefinition {
    let version = |table: &Table<'_>| DistroVersion {
        description: table.string_or_empty("description"),
        release_ver: table.string_or_empty("release-ver"),
        dist_git_branch: table.string("dist-git-branch"),
        mock_config: ["", "x86_64", "aarch64"]
            .into_iter()
            .filter_map(|arch| {
                let key = match arch {
                    "" => "mock-config".to_owned(),
                    arch => format!("mock-config-{arch}"),
                };
                Some((arch.to_owned(), table.path(&key)?))
            })
            .collect(),
        inputs: resource::inputs(table, resources),
    };
    let versions = table.named("versions").into_iter();
    DistroDefinition {
        description: table.string_or_empty("description"),
        default_version: table.string("default-version"),
        dist_git_base_uri: table.string("dist-git-base-uri"),
        lookaside_base_uri: table.string("lookaside-base-uri"),
        repos: (table.tables("repos").iter())
            .filter_map(|repo| repo.string("base-uri"))
            .collect(),
        disable_origins: table.boolean("disable-origins"),
        versions: versions
            .map(|(name, table)| (name.to_owned(), version(&table)))
            .collect(),
    }
}

fn group(table: &Table<'_>) -> Group {
    let default = table.table("default-package-config");
    Group {
        description: table.string_or_empty("description"),
        packages: table.parsed_strings("packages"),
        default: default.map_or_else(PackageSettings::default, |table| {
            component::package_settings(&table)
        }),
        defined_at: table.location(),
    }
}

fn component_group(table: &Table<'_>) -> ComponentGroup {
    ComponentGroup {
        description: table.string_or_empty("description"),
        metadata: table.table("metadata").map(|table| overlay::metadata(&table)),
        components: table.texts("components"),
        defined_at: table.location(),
    }
}

fn test_suite(name: &str, table: &Table<'_>) -> Option<TestSuite> {
    if !is_plain_name(name) {
        table.report(table.at, format!("`{name}` cannot be the name of a test suite"));
        return None;
    }
    let runner = match table.text("type")?.value {
        "pytest" => {
            let pytest = table.table("pytest")?;
            let install = pytest.string("install");
            let folder = pytest.path("working-dir");
            if let Some(install) = pytest.text("install")
                && install.value != "none"
                && folder.is_none()
            {
                let message = format!(
                    "`install = \"{}\"` needs a `working-dir`, where what it reads lies",
                    install.value
                );
                pytest.report(install.at, message);
            }
            TestRunner::Pytest {
                working_dir: folder,
                test_paths: pytest.texts("test-paths"),
                arguments: pytest.texts("extra-args"),
                install,
            }
        }
        "lisa" => {
            let lisa = table.table("lisa")?;
            let framework = lisa.table("framework")?;
            TestRunner::Lisa {
                git: framework.string("git-url")?,
                commit: framework.string("ref")?,
                cases: lisa.texts("test-cases"),
                modules: lisa.texts("pip-pre-install"),
                extras: lisa.texts("pip-extras"),
                arguments: lisa.texts("extra-args"),
            }
        }
        _ => return None,
    };
    Some(TestSuite {
        description: table.string_or_empty("description"),
        runner,
        defined_at: table.location(),
    })
}

fn keel(table: &Table<'_>, project: &mut Project) {
    let macros = table.strings("macros");
    project.macros = (macros.into_iter())
        .filter_map(|path| table.existing_file(path, "macro file"))
        .collect();
    for name in table.texts("base-requires") {
        if !project.base_requires.contains(&name) {
            project.base_requires.push(name);
        }
    }
    project.users = table
        .text("users")
        .and_then(|path| table.existing_file(path, "registry of users"));
    if let Some(checks) = table.table("package-checks") {
        project.check_severities = checks.map("severity");
    }
    if let Some(stage0) = table.table("stage0") {
        project.stage0 = Stage0 {
            suite: stage0.string_or_empty("suite"),
            packages: stage0.texts("packages"),
            libc_dev: stage0.texts("libc-dev"),
            lends: lends(&stage0),
        };
    }
}

fn lends(stage0: &Table<'_>) -> BTreeMap<String, Vec<String>> {
    let packages = stage0.texts("packages");
    let mut lends = BTreeMap::new();
    for (capability, lenders) in stage0.map_of_lists("lends") {
        if lenders.is_empty() {
            let message = format!("`lends` does not say which Debian package lends `{capability}`");
            stage0.report(stage0.key_at("lends"), message);
        }
        let check = |lender: &Text<'_>| {
            if packages.iter().any(|package| package == lender.value) || ESSENTIAL.contains(&lender.value) {
                return;
            }
            let message = format!(
                "`{}` lends `{capability}`, but is not among `keel.stage0.packages`",
                lender.value
            );
            let wrong = stage0.wrong(lender.at, message);
            let known = packages.iter().map(String::as_str);
            stage0.problems.push(wrong.did_you_mean(lender.value, known));
        };
        lenders.iter().for_each(check);
        let names = lenders.iter().map(|lender| lender.value.to_owned()).collect();
        lends.insert(capability, names);
    }
    lends
}

/// What every Debian root has without being asked for (Debian Policy 3.8, as of trixie).
const ESSENTIAL: [&str; 21] = [
    "base-files",
    "base-passwd",
    "bash",
    "bsdutils",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "dpkg",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "init-system-helpers",
    "libc-bin",
    "ncurses-base",
    "ncurses-bin",
    "perl-base",
    "sed",
    "tar",
    "util-linux",
];
