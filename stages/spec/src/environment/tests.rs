use super::*;

const RPMRC: &str = "\
optflags: x86_64 -O2
optflags: i686 -Os
buildarchtranslate: i686: i386
buildarch_compat: x86_64: noarch
";

/// A tree like rpm's with one macro or two in each place.
fn tree() -> Tree {
    let mut tree = Tree::new();
    for (path, text) in [
        (
            "macros",
            "%where base\n%_rpmconfigdir %{getconfdir}\n%nil %{!?nil}\n",
        ),
        ("macros.d/macros.one", "%where macros.d\n%one() one %1\n"),
        (
            "platform/x86_64-linux/macros",
            "%_arch x86_64\n%_target_os %{_os}\n%optflags none\n",
        ),
        ("fileattrs/x.attr", "%__x_path ^x$\n"),
        ("acme/macros", "%where acme\n%_vendor acme\n%1bad x\n"),
        (
            "acme/rpmrc",
            "include: /usr/lib/rpm/rpmrc\noptflags: x86_64 -O3\n",
        ),
        ("rpmrc", RPMRC),
        ("lua/acme.lua", "return {}\n"),
    ] {
        tree.add_bytes(text.as_bytes(), &format!("{CONFIG}/{path}"));
    }
    tree
}

fn options(target: &str, behaviour: Behaviour) -> Options {
    Options::new(tree(), target.parse().unwrap(), behaviour)
}

fn text<'e>(environment: &'e Environment, name: &str) -> Option<&'e str> {
    environment.table.get(name).map(|found| found.text())
}

#[test]
fn later_files_win_and_the_target_wins_over_all() {
    let environment = Environment::load(&options("x86_64", Behaviour::Rpm420)).unwrap();
    for (name, body) in [
        ("where", "acme"),
        ("one", "one %1"),
        ("_arch", "x86_64"),
        ("_target", "x86_64-linux"),
        ("_target_cpu", "x86_64"),
        ("_target_os", "linux"),
        ("optflags", "-O3"),
        ("__x_path", "^x$"),
    ] {
        assert_eq!(text(&environment, name), Some(body), "{name}");
    }
    let [message] = environment.messages.as_slice() else {
        panic!("{:?}", environment.messages);
    };
    assert!(
        message.text.starts_with("/usr/lib/rpm/acme/macros: line 3: "),
        "{message:?}"
    );
    assert_eq!(message.severity, Severity::Error);
}

#[test]
fn levels_are_rpms() {
    let environment = Environment::load(&options("x86_64", Behaviour::Rpm418)).unwrap();
    let level = |name: &str| environment.table.get(name).map(|found| found.level);
    assert_eq!(level("_target"), Some(level::RPMRC));
    assert_eq!(level("optflags"), Some(level::RPMRC));
    assert_eq!(level("where"), Some(level::MACROFILES));
    assert_eq!(level("define"), Some(level::BUILTIN));
    // `%undefine optflags` leaves what reading rpmrc defined.
    let mut table = environment.table.clone();
    assert_eq!(
        table
            .pop("optflags")
            .map(|before| before.text().to_owned())
            .as_deref(),
        Some("-O3")
    );
}

#[test]
fn another_target_has_its_own_flags_or_the_hosts() {
    let of = |target: &str, host: Option<&str>, behaviour| {
        let mut options = options(target, behaviour);
        options.host = host.map(str::to_owned);
        let environment = Environment::load(&options).unwrap();
        text(&environment, "optflags").map(str::to_owned)
    };
    let case = |flags: &str| Some(flags.to_owned());
    assert_eq!(of("i686", None, Behaviour::Rpm420), case("-Os"));
    assert_eq!(of("vax", Some("x86_64"), Behaviour::Rpm420), case("-O3"));
    // The target has none, and 4.18 leaves what reading the host's lines left.
    assert_eq!(of("vax", Some("x86_64"), Behaviour::Rpm418), case("-O3"));
    assert_eq!(of("vax", None, Behaviour::Rpm420), None);
    assert_eq!(of("noarch", None, Behaviour::Rpm420), case("-O3"));
}

#[test]
fn threads_share_it() {
    let environment = Environment::load(&options("x86_64", Behaviour::Rpm420)).unwrap();
    std::thread::scope(|scope| {
        for number in 0..2 {
            let table = environment.table.clone();
            scope.spawn(move || {
                let mut engine = Engine::for_loading(table, Behaviour::Rpm420);
                engine.load_text("spec", &format!("%where {number}\n"));
                let mine = engine
                    .table()
                    .get("where")
                    .map(|found| found.text() == number.to_string());
                assert_eq!(mine, Some(true));
            });
        }
    });
    assert_eq!(text(&environment, "where"), Some("acme"));
}

#[test]
fn what_can_be_built_is_scored() {
    let environment = Environment::load(&options("x86_64", Behaviour::Rpm420)).unwrap();
    let scores = ["x86_64", "X86_64", "noarch", "i686"].map(|arch| environment.machine_score(arch));
    assert_eq!(scores, [1, 1, 2, 0]);
    let bare = Options::new(Tree::new(), "aarch64".parse().unwrap(), Behaviour::Rpm420);
    let bare = Environment::load(&bare).unwrap();
    assert_eq!(
        ["aarch64", "noarch", "x86_64"].map(|arch| bare.machine_score(arch)),
        [1, 2, 0]
    );
    assert_eq!(text(&bare, "optflags"), Some("-O2 -g"));
    assert!(bare.messages[0].text.contains("platform/aarch64-linux/macros"));
}

#[test]
fn the_caller_defines_last() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("macros.b", "%where b\n%extra %{where}\n"),
        ("macros.a", "%where a\n"),
        ("other", "%x y\n"),
    ] {
        fs_err::write(folder.path().join(name), text).unwrap();
    }
    let mut options = options("x86_64", Behaviour::Rpm420);
    options.extra = vec![folder.path().to_owned()];
    options.defines = vec![
        "%with-it 1".into(),
        "_arch mine".into(),
        "_target_cpu mine".into(),
    ];
    options.undefines = vec!["%__x_path".into()];
    let environment = Environment::load(&options).unwrap();
    for (name, body) in [
        ("where", Some("b")),
        ("with_it", Some("1")),
        ("_arch", Some("mine")),
        ("_target_cpu", Some("mine")),
        ("__x_path", None),
        ("x", None),
    ] {
        assert_eq!(text(&environment, name), body, "{name}");
    }
    assert_eq!(environment.table.get("with_it").unwrap().level, level::CMDLINE);
    options.defines = vec!["2x y".into()];
    let error = Environment::load(&options).unwrap_err();
    assert!(error.to_string().starts_with("cannot define `2x y`: "), "{error}");
}

#[test]
fn the_digest_is_of_all_that_a_spec_can_see() {
    let base = options("x86_64", Behaviour::Rpm420);
    let digest = base.digest().unwrap();
    assert_eq!(base.clone().digest().unwrap(), digest);
    let changes: [fn(&mut Options); 5] = [
        |options| options.tree.add_bytes(*b"", "/usr/lib/rpm/lua/acme.lua"),
        |options| options.defines.push("a b".into()),
        |options| options.undefines.push("a".into()),
        |options| options.behaviour = Behaviour::Rpm6,
        |options| options.target.cpu = "i686".into(),
    ];
    for change in changes {
        let mut changed = base.clone();
        change(&mut changed);
        assert_ne!(changed.digest().unwrap(), digest);
    }
}

#[test]
fn a_folder_is_opened_for_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (config, none) = (root.path().join("usr/lib/rpm"), root.path().join("none"));
    let target: Target = "x86_64".parse().unwrap();
    let open = |folder: &Path| Options::open(folder, &none, target.clone(), None);
    fs_err::create_dir_all(&config).unwrap();
    fs_err::create_dir_all(root.path().join("etc/rpm")).unwrap();
    assert!(matches!(open(root.path()), Err(Error::NoMacros { .. })));
    assert!(matches!(open(&none), Err(Error::Read { .. })));
    fs_err::write(config.join("macros"), "%a 1\n").unwrap();
    fs_err::write(root.path().join("etc/rpm/macros"), "%a 2\n").unwrap();
    let value = |folder: &Path| {
        let environment = Environment::load(&open(folder).unwrap()).unwrap();
        text(&environment, "a").map(str::to_owned)
    };
    assert_eq!(value(root.path()).as_deref(), Some("2"));
    assert_eq!(value(&config).as_deref(), Some("1"));

    let checkout = root.path().join("checkout");
    fs_err::create_dir_all(checkout.join("SPECS/azurelinux-rpm-macros")).unwrap();
    let told = Options::open(&checkout, &config, target.clone(), Some(Behaviour::Rpm6)).unwrap();
    assert_eq!(told.behaviour, Behaviour::Rpm6);
    let options = Options::open(&checkout, &config, target.clone(), None).unwrap();
    assert_eq!(options.behaviour, Behaviour::Rpm418);
    let environment = Environment::load(&options).unwrap();
    assert_eq!(text(&environment, "dist"), Some(".azl3"));
    assert_eq!(text(&environment, "a"), Some("1"));
}

#[test]
fn macros_say_which_rpm_is_followed_unless_the_caller_does() {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join("usr/lib/rpm");
    fs_err::create_dir_all(&config).unwrap();
    let followed = |macros: &str, behaviour| {
        fs_err::write(config.join("macros"), macros).unwrap();
        let target: Target = "x86_64".parse().unwrap();
        let open = |folder: &Path| Options::open(folder, &config, target.clone(), behaviour).unwrap();
        let [one, other] = [open(root.path()), open(&config)];
        assert_eq!(one.behaviour, other.behaviour);
        one.behaviour
    };
    let (old, new) = ("%_buildrootdir /b\n", "%_smp_tasksize_proc 1\n%_rpmformat 6\n");
    assert_eq!(followed(old, None), Behaviour::Rpm418);
    assert_eq!(followed("%_smp_tasksize_proc 1\n", None), Behaviour::Rpm420);
    assert_eq!(followed(new, None), Behaviour::Rpm6);
    assert_eq!(followed("%a 1\n", None), Behaviour::Rpm420);
    assert_eq!(followed(old, Some(Behaviour::Rpm6)), Behaviour::Rpm6);
}
