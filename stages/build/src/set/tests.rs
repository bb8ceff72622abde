//! Sets of packages that rpmbuild makes here, in the fixture's stage0.

use std::{
    path::Path,
    sync::{Barrier, Mutex, OnceLock, mpsc},
    time::Duration,
};

use keel_artefact::{Event, Interrupt, Sink, event::Silent};
use keel_host::stage0::{self, Stage0, Stage0Spec};
use keel_inspect::Policy;
use keel_sandbox::{Bind, Run, User};
use keel_source::Lock;
use keel_store::Store;

use super::*;
use crate::{fingerprint::tests::job, names::Names, root::Root};

mod claimed;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A package that says what it is, and nothing else.
const PLAIN: &str = "Name: plain\nVersion: 2\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n\
    %install\nmkdir -p %{buildroot}/usr/share\necho plain > %{buildroot}/usr/share/plain\necho two > %{buildroot}/usr/share/two\n\
    %files\n/usr/share/plain\n/usr/share/two\n";

/// One with scriptlets: it adds, changes and removes, gives a file to somebody, and one scriptlet fails.
const FOREIGN: &str = "Name: foreign\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\nRequires(post): plain\n\
    %description\nx\n%install\nmkdir -p %{buildroot}/usr/share/foreign\necho 1 > %{buildroot}/usr/share/foreign/file\n\
    %pre\necho 'foreign:x:77:77::/:/bin/false' >> /etc/passwd\n\
    %post\nset -e\necho more >> /usr/share/plain\nrm /usr/share/two\necho added > /usr/share/added\nchown 77 /usr/share/added\nexit 3\n\
    %files\n%attr(755, foreign, root) %dir /usr/share/foreign\n/usr/share/foreign/file\n";

/// One that looks whether the other is there already, and listens to what is installed.
const TRIGGER: &str = "Name: trigger\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n\
    %transfiletriggerin -- /usr/share/foreign\ncat > /usr/share/triggered\n%files\n";

/// One that does not want to be installed.
const REFUSES: &str = "Name: refuses\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n\
    %pre\necho 'not here' >&2\nexit 1\n%files\n";

/// The store of all tests, and the fixture's stage0 in it.
fn lender() -> &'static (Store, Stage0) {
    static LENDER: OnceLock<(Store, Stage0)> = OnceLock::new();
    LENDER.get_or_init(|| {
        let cache = std::env::var_os("KEEL_TEST_CACHE_DIR").map(PathBuf::from);
        let target = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp/keel-cache");
        let store = Store::open(&cache.unwrap_or_else(target)).unwrap();
        let names = |names: &str| names.split(' ').map(str::to_owned).collect();
        // As in tests/fixture/settings.toml.
        let wanted = Stage0Spec {
            suite: "trixie".to_owned(),
            mirror: mirror(),
            arch: keel_artefact::Arch::X86_64,
            packages: names(
                "binutils bzip2 cpio debugedit diffutils elfutils erofs-utils faketime file gcc make patch rpm xz-utils zstd",
            ),
            libc_dev_packages: names("libc6-dev linux-libc-dev libcrypt-dev libc-dev-bin"),
        };
        let stage0 = stage0::prepare(&store, &wanted, &Silent, &Interrupt::default()).unwrap();
        (store, stage0)
    })
}

/// The first Debian mirror of apt's configuration.
fn mirror() -> String {
    let mut apt = std::process::Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(SITE)", "Created-By: Packages"]);
    let text = String::from_utf8(apt.output().unwrap().stdout).unwrap();
    let mut sites = text.lines().map(|site| site.trim_end_matches('/'));
    sites.find(|site| site.ends_with("/debian")).unwrap().to_owned()
}

/// Passes on what is noted and warned of.
struct Told(Mutex<mpsc::Sender<String>>);

impl Told {
    fn new() -> (Self, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel();
        (Self(Mutex::new(sender)), receiver)
    }
}

impl Sink for Told {
    fn event(&self, event: Event<'_>) {
        if let Event::Note { text } | Event::Warning { text } = event {
            self.0.lock().unwrap().send(text.to_owned()).unwrap();
        }
    }
}

struct Fixture<'a> {
    store: &'a Store,
    stage0: &'a Stage0,
    sink: &'a dyn Sink,
    policy: Policy,
    foreign: crate::foreign::Components,
    lock: Lock,
    folder: tempfile::TempDir,
    interrupt: Interrupt,
    index: crate::closure::Index,
}

impl Fixture<'_> {
    fn new() -> Self {
        let (store, stage0) = lender();
        Fixture::of(store, stage0, &Silent)
    }
}

impl<'a> Fixture<'a> {
    fn of(store: &'a Store, stage0: &'a Stage0, sink: &'a dyn Sink) -> Self {
        Self {
            store,
            stage0,
            sink,
            policy: Policy::default(),
            foreign: crate::foreign::Components::default(),
            lock: Lock::default(),
            folder: tempfile::tempdir().unwrap(),
            interrupt: Interrupt::default(),
            index: crate::closure::Index::default(),
        }
    }

    fn shop(&self) -> Workshop<'_> {
        Workshop {
            refused: Refused::default(),
            index: &self.index,
            store: self.store,
            distribution: "test",
            stage0: self.stage0,
            macros: &[],
            policy: &self.policy,
            names: Names {
                lock: &self.lock,
                raise: &|_, _| unreachable!("nothing is published"),
                locked: false,
            },
            foreign: crate::Foreign {
                components: &self.foreign,
                bring: &|_| unreachable!("nothing comes from repositories"),
            },
            is_lent: &|_| true,
            output: self.folder.path(),
            cores: 1,
            keep_roots: false,
            sink: self.sink,
            interrupt: &self.interrupt,
        }
    }

    /// Builds a SPEC, and puts the package into the store. `salt` makes it another package.
    fn package(&self, spec: &str, salt: &str) -> BuiltPackage {
        let build = self.folder.path().join("build");
        fs_err::create_dir_all(&build).unwrap();
        fs_err::write(
            build.join("a.spec"),
            format!("{spec}%changelog\n* Thu Jan 01 2026 A <a@example.org> - 1-1\n- {salt}\n"),
        )
        .unwrap();
        keel_sandbox::hand_over(&build).unwrap();
        let mut sandbox = self.stage0.sandbox();
        sandbox.user = User::Builder;
        sandbox.binds.push(Bind {
            host: build.clone(),
            guest: crate::root::path("/build"),
            writable: true,
        });
        let script = "cd /build && rm -rf RPMS && rpmbuild -bb --define '_topdir /build' \
                      --define 'source_date_epoch_from_changelog 1' --define 'use_source_date_epoch_as_buildtime 1' a.spec";
        let exit = keel_sandbox::run(&sandbox, Run::captured(["sh", "-c", script]), &self.interrupt).unwrap();
        assert!(exit.success(), "{}", String::from_utf8_lossy(&exit.stderr));
        keel_sandbox::take_back(&build).unwrap();
        let made = fs_err::read_dir(build.join("RPMS/noarch"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let info = keel_rpm::read(&made).unwrap();
        BuiltPackage {
            scriptlets: !info.scripts.is_empty(),
            component: info.nevra.name.as_str().parse().unwrap(),
            nevra: info.nevra,
            kind: crate::Kind::Binary,
            rpm: self.store.put_file(&made).unwrap(),
            size: 1,
            epoch: info.build_time,
        }
    }

    fn root(&self, packages: Vec<BuiltPackage>) -> Result<Root, Error> {
        self.root_in(&self.shop(), packages)
    }

    fn root_in(&self, shop: &Workshop<'_>, packages: Vec<BuiltPackage>) -> Result<Root, Error> {
        let mut job = job("tested", "1");
        job.bootstrap_libc = true;
        job.recipe.macros_digest = Fingerprint::new(keel_spec::MACROS_PROTOCOL).finish();
        Root::compose(shop, &job, packages)
    }

    /// What a shell in the root prints.
    fn says(&self, root: &Root, script: &str) -> String {
        let run = Run::captured(["sh", "-c", script]);
        let mut sandbox = root.sandbox();
        sandbox.cwd = crate::root::path("/");
        let exit = keel_sandbox::run(&sandbox, run, &self.interrupt).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(exit.success(), "{}{}", text(&exit.stdout), text(&exit.stderr));
        text(&exit.stdout)
    }
}

#[test]
fn the_database_of_a_root_names_its_packages_and_nothing_else() {
    let fixture = Fixture::new();
    let plain = fixture.package(PLAIN, "database");
    let root = fixture.root(vec![plain.clone()]).unwrap();
    assert!(root.changes.is_none(), "nothing was installed");
    assert_eq!(
        fixture.says(&root, "rpm -qa; rpm -q plain; rpm -qf /usr/share/plain"),
        "plain-2-1.noarch\n".repeat(3)
    );
    assert_eq!(
        fixture.says(
            &root,
            "rpm -V --nouser --nogroup --nomtime plain && rpm -q foreign || :"
        ),
        "package foreign is not installed\n"
    );
    // Installed when the package was built, not today.
    assert_eq!(
        fixture.says(&root, "rpm -q --qf '%{INSTALLTIME}' plain"),
        plain.epoch.0.to_string()
    );
    assert_eq!(fixture.says(&root, "id -un"), "builder\n");
    let empty = fixture.root(Vec::new()).unwrap();
    assert_eq!(fixture.says(&empty, "rpm -qa"), "");
    // Made again, it has the same bytes.
    let set = Set {
        packages: std::slice::from_ref(&plain),
        layers: &root.trees,
        borrowed: &fixture.stage0.build_lowers(true),
        has_libc: false,
        bootstrap_libc: true,
    };
    let database = |layer: &Path| fs_err::read(layer.join("usr/lib/sysimage/rpm/rpmdb.sqlite")).unwrap();
    let one = database(&set.layer(&fixture.shop()).unwrap().layer);
    fixture
        .store
        .remove_tree(&set.key(&fixture.stage0.digest))
        .unwrap();
    assert!(
        one == database(&set.layer(&fixture.shop()).unwrap().layer),
        "the database differs"
    );
}

#[test]
fn foreign_packages_are_installed_by_rpm_with_a_record_of_what_scriptlets_did() {
    let fixture = Fixture::new();
    let packages = [FOREIGN, PLAIN, TRIGGER].map(|spec| fixture.package(spec, "foreign"));
    let root = fixture.root(packages.to_vec()).unwrap();
    let changes = root.changes.as_ref().unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(changes.packages["foreign-1-1.noarch"], ["%pre", "%post"]);
    assert_eq!(changes.packages["trigger-1-1.noarch"], ["%transfiletriggerin"]);
    assert_eq!(
        changes.added,
        names(&["etc/passwd", "usr/share/added", "usr/share/triggered"])
    );
    assert_eq!(changes.changed, names(&["usr/share/plain"]));
    assert_eq!(changes.removed, names(&["usr/share/two"]));
    // A %post that fails is warned of: rpm goes on.
    assert!(
        changes
            .warnings
            .iter()
            .any(|line| line.contains("%post(foreign-1-1.noarch)") && line.contains("exit status 3")),
        "{changes:?}"
    );

    assert_eq!(root.trees.len(), 1, "one tree instead of three");
    assert_eq!(
        fixture.says(
            &root,
            "cat /usr/share/plain /usr/share/added; test ! -e /usr/share/two"
        ),
        "plain\nmore\nadded\n"
    );
    assert_eq!(fixture.says(&root, "grep -c foreign /usr/share/triggered"), "2\n");
    assert_eq!(
        fixture.says(&root, "rpm -qa | sort"),
        "foreign-1-1.noarch\nplain-2-1.noarch\ntrigger-1-1.noarch\n"
    );
    // The user that %pre added is there, and the builder still is.
    assert_eq!(fixture.says(&root, "id -un; id -u foreign"), "builder\n77\n");
    let again = fixture.root(packages.to_vec()).unwrap();
    assert_eq!(again.trees, root.trees, "it is made once");
    assert_eq!(again.changes, root.changes);
}

#[test]
fn jobs_that_need_the_same_set_at_once_install_it_once() {
    let (told, hears) = Told::new();
    let (store, stage0) = lender();
    let fixture = Fixture::of(store, stage0, &told);
    // What it adds is another thing each time.
    let random = FOREIGN.replace("echo added >", "cat /proc/sys/kernel/random/uuid >");
    let packages = [random.as_str(), PLAIN].map(|spec| fixture.package(spec, "at once"));
    let place = key(&stage0.digest, true, &packages);
    store.remove_tree(&place).unwrap();
    let start = Barrier::new(2);
    let roots = std::thread::scope(|scope| {
        let one = || {
            start.wait();
            fixture.root(packages.to_vec()).unwrap()
        };
        [scope.spawn(one), scope.spawn(one)].map(|job| job.join().unwrap())
    });
    assert_eq!(roots[0].changes, roots[1].changes);
    drop(told);
    let warnings = hears
        .try_iter()
        .filter(|text| text.contains("%post(foreign-1-1.noarch)"));
    assert_eq!(warnings.count(), 1, "rpm ran once");
}

#[test]
fn a_pre_that_fails_stops_and_leaves_no_layer() {
    let fixture = Fixture::new();
    let refuses = fixture.package(REFUSES, "refuses");
    let mut told: Vec<Arc<Error>> = Vec::new();
    let shop = fixture.shop();
    for _ in 0..2 {
        let error = fixture
            .root_in(&shop, vec![refuses.clone()])
            .map(|_| ())
            .unwrap_err();
        let Error::Before(error) = error else {
            panic!("{error}")
        };
        let Error::Transaction { packages, source } = &*error else {
            panic!("{error}")
        };
        assert_eq!(packages["refuses-1-1.noarch"], ["%pre"]);
        let said = source.to_string();
        assert!(
            said.contains("not here") && said.contains("%prein(refuses-1-1.noarch)"),
            "{said}"
        );
        told.push(error);
    }
    assert!(Arc::ptr_eq(&told[0], &told[1]), "rpm ran once");
}

/// What scriptlets may not reach: a folder outside of the root, by a link that they put in the place of one inside.
fn replaces(folder: &str, decoy: &Path) -> String {
    let decoy = decoy.display();
    format!(
        "Name: replaces\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\nRequires(post): plain\n\
         %description\nx\n%post\nset -e\nmkdir -p {folder}\nmv {folder} /var/aside\nln -s {decoy} {folder}\necho done >&2\n%files\n"
    )
}

#[test]
fn a_link_that_a_scriptlet_puts_in_place_of_a_folder_is_never_followed() {
    let fixture = Fixture::new();
    let decoy = fixture.folder.path().join("decoy");
    for name in ["rpm", "ldconfig", "ld.so.cache.d"] {
        fs_err::create_dir_all(decoy.join(name)).unwrap();
        fs_err::write(decoy.join(name).join("kept"), "kept").unwrap();
    }
    fs_err::write(decoy.join("passwd"), "outside:x:5:5::/:/bin/false\n").unwrap();
    fs_err::write(decoy.join("two"), "two\n").unwrap();
    let plain = fixture.package(PLAIN, "links");
    for folder in ["/var/lib", "/var/cache", "/usr/share"] {
        let replaces = fixture.package(&replaces(folder, &decoy), folder);
        let root = fixture.root(vec![plain.clone(), replaces]).unwrap();
        let changes = root.changes.unwrap();
        let told = changes.added.union(&changes.changed);
        assert!(told.into_iter().any(|name| *name == folder[1..]), "{changes:?}");
        assert!(
            folder != "/usr/share" || changes.removed.contains("usr/share/two"),
            "what is outside is not what was shipped: {changes:?}"
        );
    }
    for name in ["rpm", "ldconfig", "ld.so.cache.d"] {
        assert!(decoy.join(name).join("kept").is_file(), "{name}");
    }
    assert!(decoy.join("passwd").is_file());
}

#[test]
fn users_behind_a_link_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name);
    for name in ["fixes/etc", "installed", "decoy"] {
        fs_err::create_dir_all(folder(name)).unwrap();
    }
    fs_err::write(folder("fixes/etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
    fs_err::write(folder("decoy/passwd"), "outside:x:5:5::/:/bin/false\n").unwrap();
    symlink(folder("decoy"), folder("installed/etc")).unwrap();
    let users =
        || scriptlets::users(&folder("installed"), &folder("fixes"), &[], &Interrupt::default()).unwrap();
    assert_eq!(users(), Users::new());
    fs_err::remove_file(folder("installed/etc")).unwrap();
    fs_err::rename(folder("decoy"), folder("installed/etc")).unwrap();
    let passwd = "root:x:0:0::/:/bin/sh\noutside:x:5:5::/:/bin/false\n".to_owned();
    assert_eq!(users(), Users::from([("etc/passwd".into(), passwd)]));
}

#[test]
fn a_database_behind_a_link_or_that_is_no_file_is_an_error() {
    let fixture = Fixture::new();
    let decoy = fixture.folder.path().join("decoy");
    fs_err::create_dir_all(decoy.join("rpm")).unwrap();
    let mut foreign = b"SQLite format 3\0".to_vec();
    foreign.resize(4096, 0);
    fs_err::write(decoy.join("rpm/rpmdb.sqlite"), &foreign).unwrap();
    let behind = replaces("/usr/lib/sysimage", &decoy);
    let fifo = "Name: fifo\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n\
                %post\nrm /usr/lib/sysimage/rpm/rpmdb.sqlite\nmkfifo /usr/lib/sysimage/rpm/rpmdb.sqlite\n%files\n";
    for (spec, why) in [(behind.as_str(), "behind a link"), (fifo, "no regular file")] {
        let package = fixture.package(spec, why);
        let error = fixture.root(vec![package]).map(|_| ()).unwrap_err();
        let Error::Before(error) = error else {
            panic!("{error}")
        };
        let Error::Transaction { source, .. } = &*error else {
            panic!("{error}")
        };
        assert!(source.to_string().contains(why), "{source}");
    }
    assert_eq!(fs_err::read(decoy.join("rpm/rpmdb.sqlite")).unwrap(), foreign);
}

#[test]
fn what_scriptlets_made_is_seen_and_another_tree_is_another_digest() {
    let fixture = Fixture::new();
    let digest = |spec: &str, salt: &str| {
        let packages = [spec, PLAIN].map(|spec| fixture.package(spec, salt));
        let seen = || super::seen(fixture.store, &fixture.stage0.digest, true, &packages).unwrap();
        fixture
            .store
            .remove_tree(&key(&fixture.stage0.digest, true, &packages))
            .unwrap();
        assert_eq!(seen(), Seen::NotRun);
        fixture.root(packages.to_vec()).unwrap();
        match seen() {
            Seen::Made(digest) => digest,
            other => panic!("{other:?}"),
        }
    };
    let one = digest(FOREIGN, "seen");
    assert_eq!(one, digest(FOREIGN, "seen"), "made again, it is the same");
    // The same packages, and a scriptlet that does something else each time.
    let random = FOREIGN.replace("echo added >", "cat /proc/sys/kernel/random/uuid >");
    assert_ne!(digest(&random, "seen"), digest(&random, "seen"));
    let plain = fixture.package(PLAIN, "seen");
    let seen = super::seen(fixture.store, &fixture.stage0.digest, true, &[plain]).unwrap();
    assert_eq!(seen, Seen::Nothing);
}

#[test]
fn a_package_with_scriptlets_that_is_not_marked_is_refused() {
    let fixture = Fixture::new();
    let mut package = fixture.package(TRIGGER, "not marked");
    package.scriptlets = false;
    let error = fixture.root(vec![package]).map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, Error::Scriptlets { scripts, .. } if !scripts.is_empty()),
        "{error}"
    );
}
