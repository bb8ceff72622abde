//! dnf of Debian installs from what is served, and refuses what was changed.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
};

use keel_artefact::{Arch, Interrupt, event::Silent};
use keel_repo::client_config;
use keel_rpm::sign::Key;

use crate::{
    fixture::{NOW, World, ending, flip, tool},
    serve::serving,
};

fn dnf(world: &World, address: SocketAddr, key: &str, name: &str, package: &str) -> Output {
    let dir = world.dir.path().join(name);
    let path = |part: &str| {
        let path = dir.join(part);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let base = format!("http://{address}/x86_64");
    let key_file = path("etc").join("key.asc");
    std::fs::write(&key_file, key).unwrap();
    let key_url = format!("file://{}", key_file.display());
    let text = client_config("keel", "Keel", Arch::X86_64, &base, Some(&key_url));
    std::fs::write(path("repos").join("keel.repo"), text).unwrap();
    std::fs::write(path("etc").join("dnf.conf"), "[main]\n").unwrap();
    // dnf installs only as root: here, of a namespace in which whoever runs the test is root.
    Command::new(tool("unshare", "util-linux"))
        .arg("--map-root-user")
        .arg(tool("dnf", "dnf"))
        .args(["-y", "--disableplugin=*", "--releasever=1", "--forcearch=x86_64"])
        .arg(format!("--config={}", path("etc").join("dnf.conf").display()))
        .arg(format!("--installroot={}", path("root").display()))
        .arg(format!("--setopt=reposdir={}", path("repos").display()))
        .arg(format!("--setopt=cachedir={}", path("cache").display()))
        .arg(format!("--setopt=logdir={}", path("log").display()))
        .arg(format!("--setopt=persistdir={}", path("persist").display()))
        .args([
            "--setopt=retries=1",
            "--setopt=skip_if_unavailable=0",
            "--setopt=install_weak_deps=0",
        ])
        .args(["install", package])
        .env("HOME", path("home"))
        .env_remove("http_proxy")
        .env("no_proxy", "*")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn served<R>(world: &World, work: impl FnOnce(SocketAddr) -> R) -> R {
    serving(world.out().parent().unwrap(), work)
}

#[test]
fn dnf_installs_what_is_signed_and_nothing_else() {
    let world = World::new();
    world.create();
    let certificate = world.key.certificate().unwrap();
    let installed = |name: &str| {
        world
            .dir
            .path()
            .join(name)
            .join("root/usr/share/kr-app/9")
            .exists()
    };
    served(&world, |address| {
        let output = dnf(&world, address, &certificate, "good", "kr+app");
        assert!(output.status.success(), "{}", text(&output));
        assert!(installed("good") && world.dir.path().join("good/root/usr/bin/kr-base").exists());

        let foreign = Key::generate("foreign", NOW).unwrap().certificate().unwrap();
        let output = dnf(&world, address, &foreign, "foreign", "kr+app");
        assert!(
            !output.status.success() && !installed("foreign"),
            "{}",
            text(&output)
        );
    });
    let refused = |name: &str, why: &str, damage: &dyn Fn(&Path)| {
        let world_again = World::new();
        world_again.create();
        damage(&world_again.out().join("os"));
        served(&world_again, |address| {
            let output = dnf(&world_again, address, &certificate, name, "kr+app");
            let installed = world_again
                .dir
                .path()
                .join(name)
                .join("root/usr/share/kr-app/9")
                .exists();
            let text = text(&output);
            assert!(
                !output.status.success() && !installed && text.contains(why),
                "{name}: {text}"
            );
        });
    };
    refused("package", "checksum doesn't match", &|os| {
        flip(&os.join("Packages/k/kr-base-1.0-1.noarch.rpm"))
    });
    refused("primary", "checksum doesn't match", &|os| {
        flip(&ending(&os.join("repodata"), "primary.xml.zst"))
    });
    refused(
        "repomd",
        "repomd.xml GPG signature verification error: Bad GPG signature",
        &|os| flip(&os.join("repodata/repomd.xml")),
    );
    refused("signature", "repomd.xml.asc", &|os| {
        std::fs::remove_file(os.join("repodata/repomd.xml.asc")).unwrap()
    });
}

#[test]
fn dnf_refuses_unsigned_packages_under_signed_metadata() {
    let world = World::new();
    keel_repo::create(
        &world.packages,
        &world.store,
        None,
        &world.out(),
        &Silent,
        &Interrupt::default(),
    )
    .unwrap();
    let repodata = world.out().join("os/repodata");
    let xml = std::fs::read(repodata.join("repomd.xml")).unwrap();
    std::fs::write(
        repodata.join("repomd.xml.asc"),
        world.key.sign_detached(&xml, NOW).unwrap(),
    )
    .unwrap();
    served(&world, |address| {
        let output = dnf(
            &world,
            address,
            &world.key.certificate().unwrap(),
            "unsigned",
            "kr-base",
        );
        let text = text(&output);
        assert!(!output.status.success() && text.contains("not signed"), "{text}");
    });
}
