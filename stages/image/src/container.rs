//! Does a container have what it starts, and as whom?

use keel_artefact::RootPath;
use keel_config::{Diagnostic, Errors, image::Container};

use crate::{
    Error, accounts,
    tree::{Kind, Tree},
    write::oci,
};

/// Holds `user`, `workdir` and the program against the finished tree. Numbers need no account, and a folder that is not there
/// is made by whoever runs the container.
pub(crate) fn check(tree: &Tree, container: &Container) -> Result<(), Error> {
    let mut wrong = Vec::new();
    let mut report = |key: &str, message: String| {
        let diagnostic = Diagnostic::new(message);
        wrong.push(match container.said_at.get(key) {
            Some(at) => diagnostic.at(at.clone()),
            None => diagnostic,
        });
    };
    if let Some(user) = &container.user {
        let (user, group) = user.split_once(':').unwrap_or((user, ""));
        for (name, file, what) in [(user, "/etc/passwd", "user"), (group, "/etc/group", "group")] {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            let listed = accounts::text(tree, file)?.unwrap_or_default();
            let is_listed = listed.lines().any(|line| line.split(':').next() == Some(name));
            if !is_number && !is_listed {
                report(
                    "user",
                    format!("the container has no {what} `{name}`: `{file}` does not list it"),
                );
            }
        }
    }
    if let Some(workdir) = &container.workdir
        && let Some((_, node)) = tree.follow(workdir)
        && !matches!(node.kind, Kind::Dir)
    {
        report(
            "workdir",
            format!(
                "`{workdir}` is {} in the container, and no folder",
                node.kind.noun()
            ),
        );
    }
    let (key, program) = match (container.entrypoint.first(), container.cmd.first()) {
        (Some(program), _) => ("entrypoint", Some(program)),
        (None, program) => ("cmd", program),
    };
    if let Some(program) = program.filter(|program| !has(tree, container, program)) {
        report(key, format!("the container has no program `{program}`"));
    }
    Errors::check((), wrong).map_err(Error::Definition)
}

fn has(tree: &Tree, container: &Container, program: &str) -> bool {
    let is_program = |path: &str| {
        let path = path.parse::<RootPath>();
        let node = path
            .ok()
            .and_then(|path| tree.follow(&path))
            .map(|(_, node)| node);
        node.is_some_and(|node| matches!(node.kind, Kind::File(_)) && node.mode & 0o111 != 0)
    };
    if program.starts_with('/') {
        return is_program(program);
    }
    if program.contains('/') {
        let program = program.strip_prefix("./").unwrap_or(program);
        let workdir = container.workdir.as_ref().map_or("", RootPath::as_str);
        return is_program(&format!("{}/{program}", workdir.trim_end_matches('/')));
    }
    let path = container.env.get("PATH").map_or(oci::PATH, String::as_str);
    let mut folders = path.split(':').filter(|folder| !folder.is_empty());
    folders.any(|folder| is_program(&format!("{}/{program}", folder.trim_end_matches('/'))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{path, tree};

    #[test]
    fn a_container_has_its_user_and_its_program() {
        let mut tree = tree(&[
            ("/etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:80:80::/:/bin/sh\n"),
            ("/etc/group", "root:x:0:\nwww:x:80:\n"),
            ("/usr/bin/sh", "#!"),
            ("/usr/bin/text", "no program"),
            ("/usr/bin/link", "-> sh"),
            ("/bin", "-> usr/bin"),
            ("/srv/", ""),
            ("/srv/run", "#!"),
        ]);
        for program in ["/usr/bin/sh", "/srv/run"] {
            tree.get_mut(&path(program)).unwrap().mode = 0o755;
        }
        let told = |change: &dyn Fn(&mut Container)| {
            let mut container = Container::default();
            let at = keel_config::Location::line("i.image.toml", 7);
            for key in ["user", "workdir", "cmd", "entrypoint"] {
                container.said_at.insert(key, at.clone());
            }
            change(&mut container);
            check(&tree, &container).map_err(|error| error.to_string()).err()
        };
        assert_eq!(told(&|_| {}), None);
        for user in ["web", "web:www", "0", "1234:5678", "web:80", ":www"] {
            assert_eq!(told(&|it| it.user = Some(user.to_owned())), None, "{user}");
        }
        for (user, words) in [("wbe", "no user `wbe`"), ("0:web", "no group `web`")] {
            let told = told(&|it| it.user = Some(user.to_owned())).unwrap();
            assert!(told.contains(words) && told.contains("i.image.toml:7"), "{told}");
        }
        for program in ["/bin/sh", "sh", "link", "/usr/bin/link", "./run"] {
            let found = told(&|it| {
                it.workdir = Some(path("/srv"));
                it.cmd = vec![program.to_owned(), "no such argument".to_owned()];
            });
            assert_eq!(found, None, "{program}");
        }
        for program in [
            "/bin/none",
            "none",
            "text",
            "/srv",
            "./sh",
            "/usr/bin/../bin/none",
        ] {
            let told = told(&|it| it.entrypoint = vec![program.to_owned()]).unwrap();
            assert!(told.contains(&format!("no program `{program}`")), "{told}");
        }
        // With an entrypoint, `cmd` is what it is called with.
        let found = told(&|it| (it.entrypoint, it.cmd) = (vec!["sh".to_owned()], vec!["x".to_owned()]));
        assert_eq!(found, None);
        let elsewhere = told(&|it| {
            it.env.insert("PATH".to_owned(), "/srv".to_owned());
            it.cmd = vec!["sh".to_owned()];
        });
        assert!(elsewhere.is_some());
        assert!(told(&|it| it.workdir = Some(path("/usr/bin/sh"))).is_some());
        assert_eq!(told(&|it| it.workdir = Some(path("/made/later"))), None);
    }
}
