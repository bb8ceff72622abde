use keel_artefact::Evr;

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Lock, Error> {
    Lock::parse(text, Path::new("keel.lock"))
}

#[test]
fn what_is_wrong_is_named() {
    let file = |rest: &str| format!("version = 1\n[[file]]\ncomponent = \"zlib\"\n{rest}");
    let digest = "0".repeat(64);
    let good = format!("name = \"z.tar\"\nsize = 1\nsha256 = \"{digest}\"\norigins = []\nlocked = true\n");
    assert_eq!(parse(&file(&good)).unwrap().files.len(), 1);
    assert_eq!(parse("version = 1\n").unwrap(), Lock::default());
    for (text, message) in [
        (
            "version = 4\n".to_owned(),
            "the lock keel.lock has format version 4, this keel reads version 3",
        ),
        (
            file(&good.replace("z.tar", "../z.tar")),
            "name of `zlib` \"../z.tar\"",
        ),
        (
            file(&good.replace("zlib", "z/lib").replace("[]", "[\"git:x\"]")),
            "`git:x` is no origin",
        ),
        (file(&good.replace(&digest, "00")), "`00` is not a SHA-256 digest"),
        (
            file(&(good.clone() + "[[file]]\ncomponent = \"zlib\"\n" + &good)),
            "it is listed twice",
        ),
        (file("name = 1"), "the lock keel.lock is damaged"),
        (
            "version = 1\nfoo = 1\n".to_owned(),
            "the lock keel.lock is damaged",
        ),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// B1: a lock says which state of a base's repository is used, strictly; one without such records is as it always was.
#[test]
fn states_of_repositories_are_strict() {
    let record = format!(
        "[[repository]]\naddress = \"https://p.test/os\"\nsha256 = \"{}\"\n",
        "ab".repeat(32)
    );
    let lock = parse(&format!("version = 3\n{record}")).unwrap();
    assert_eq!(lock.repositories.len(), 1);
    assert_eq!(parse(&lock.to_text()).unwrap(), lock);
    assert_eq!(lock.to_text().lines().nth(1), Some("version = 3"));
    for (text, message) in [
        (
            format!("version = 1\n{record}"),
            "a lock of version 1 has no such records",
        ),
        (
            format!("version = 2\n{record}"),
            "a lock of version 2 has no such records",
        ),
        (format!("version = 3\n{record}{record}"), "it is listed twice"),
        (
            format!("version = 3\n{}", record.replace("abab", "xy")),
            "is not a SHA-256 digest",
        ),
        (format!("version = 3\n{record}size = 1\n"), "is damaged"),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// N1: a lock says which bytes each published name stands for, strictly; one without records is as it always was.
#[test]
fn records_of_what_is_published_are_strict() {
    let digest = "0".repeat(64);
    let record = format!(
        "[[published]]\ncomponent = \"zlib\"\narch = \"x86_64\"\nversion = \"1:1.3-1.kl1\"\nrebuild = 2\n\
         [published.packages]\n\"zlib-1:1.3-1.kl1.2.x86_64\" = \"{digest}\"\n"
    );
    let lock = parse(&format!("version = 2\n{record}")).unwrap();
    let (key, published) = lock.published.first_key_value().unwrap();
    assert_eq!(
        (key.0.as_str(), key.1, published.rebuild),
        ("zlib", Arch::X86_64, 2)
    );
    assert_eq!(lock.to_text().lines().nth(1), Some("version = 2"));
    assert_eq!(Lock::default().to_text().lines().nth(1), Some("version = 1"));
    for (from, to, message) in [
        (
            "version = 2\n",
            "version = 1\n",
            "a lock of version 1 has no such records",
        ),
        (
            "1:1.3-1.kl1\"\nr",
            "1.3\"\nr",
            "it is not [epoch:]version-release",
        ),
        ("x86_64\"\nv", "vax\"\nv", "unknown architecture `vax`"),
        ("rebuild = 2", "rebuild = 1000001", "it is more than 1000000"),
        ("rebuild = 2", "rebuild = -1", "the lock keel.lock is damaged"),
        (
            "kl1.2.x86_64",
            "kl1",
            "`zlib-1:1.3-1.kl1` is not the identity of a package",
        ),
        (
            "rebuild = 2",
            "rebuild = 2\nother = 1",
            "the lock keel.lock is damaged",
        ),
        (
            "[[published]]",
            &format!("{record}[[published]]"),
            "it is listed twice for one architecture",
        ),
    ] {
        let text = format!("version = 2\n{record}").replacen(from, to, 1);
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn a_lock_is_written_at_once_and_only_when_it_differs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out/keel.lock");
    assert_eq!(Lock::read(&path).unwrap(), Lock::default());
    let lock = Lock::default();
    lock.write(&path).unwrap();
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    lock.write(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

fn entries() -> impl Strategy<Value = Entry> {
    let origins = proptest::collection::vec(
        prop_oneof![
            Just("debian:trixie:pool/main/z/z/z_1.orig.tar.gz"),
            Just("https://example.org/a?b=c"),
            Just("file:a \"b\" \\c"),
            Just("crates:a:1"),
        ],
        0..3,
    );
    let replaces = proptest::option::of(("[a-z]{1,5}", any::<[u8; 32]>(), "\\PC{0,5}"));
    (any::<u32>(), any::<[u8; 32]>(), origins, any::<bool>(), replaces).prop_map(
        |(size, digest, origins, locked, replaces)| Entry {
            size: size.into(),
            digest: digest.into(),
            sha512: (size % 2 == 0).then(|| [digest[0]; 64].into()),
            origins: origins.iter().map(|text| text.parse().unwrap()).collect(),
            locked,
            series: (!locked).then(|| "6.12\u{7}\"\\".to_owned()),
            replaces: replaces.map(|(name, digest, value)| Replaced {
                name,
                digest: digest.into(),
                defines: BTreeMap::from([("upstream_version".to_owned(), value)]),
            }),
        },
    )
}

fn published_keys() -> impl Strategy<Value = (ComponentName, Arch)> {
    let archs = prop_oneof![Just(Arch::X86_64), Just(Arch::Aarch64)];
    ("[a-z]{1,4}", archs).prop_map(|(name, arch)| (name.parse().unwrap(), arch))
}

fn published() -> impl Strategy<Value = Published> {
    let names = (
        "[a-z]{1,3}(-[a-z]{1,3})?",
        "([1-9]:)?[0-9.]{1,3}~[a-z]",
        "[0-9]\\.[a-z]{1,2}",
    );
    let name = names.prop_map(|(name, version, release)| format!("{name}-{version}-{release}.noarch"));
    let packages = proptest::collection::btree_map(name, any::<[u8; 32]>(), 0..4);
    let evr = ("[0-9.]{1,3}", "[0-9][.a-z]{0,3}");
    let source = any::<Option<[u8; 32]>>();
    (evr, 0..4u32, source, packages).prop_map(|((version, release), rebuild, source, packages)| Published {
        evr: Evr {
            epoch: rebuild % 2,
            version,
            release,
        },
        rebuild,
        source: source.map(Sha256::from),
        packages: packages
            .into_iter()
            .map(|(name, digest)| (name, digest.into()))
            .collect(),
    })
}

proptest! {
    #[test]
    fn a_lock_survives_the_round_trip(
        files in proptest::collection::btree_map(("[a-z]{1,4}", "[a-zA-Z0-9+~_]{1,6}"), entries(), 0..5),
        published in proptest::collection::btree_map(published_keys(), published(), 0..4),
    ) {
        let files = files.into_iter().map(|((component, name), entry)| ((component.parse().unwrap(), name), entry));
        let lock = Lock { files: files.collect(), published, ..Lock::default() };
        let text = lock.to_text();
        prop_assert_eq!(&parse(&text).unwrap(), &lock);
        prop_assert_eq!(parse(&text).unwrap().to_text(), text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(version = 1\n|\\[\\[file\\]\\]\n|name = |\"[a-z/.]{0,5}\"\n|[a-z=\"\\[\\]]{0,6}){0,20}") {
        let _ = parse(&text);
    }
}
