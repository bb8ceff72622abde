//! Images: a repository and an image's definition in → containers and disks out, from one tree in memory.
//!
//! Input: a [`Repository`](keel_repo::Repository), an [`Image`](keel_config::Image), the tools of stage0. Output:
//! the files of [`Built`] in `out/images/NAME/`.
//!
//! 1. [`resolve`]: the packages that the image names, and what they require (with `install-weak-deps`, what they recommend,
//!    too), from that repository only.
//! 2. [`compose`]: their headers and payloads become a [`Tree`](tree::Tree): path → type, mode, owner, time,
//!    attributes, content; without documentation and languages that the definition does not want ([`left_out`]).
//! 3. [`finalise`]: users and groups ([`accounts`]), defaults of /etc, files that the definition adds, enabled units, modules,
//!    rpm's database; with a record of what each part changed.
//! 4. [`scripts`] of the definition, in a sandbox over that tree; what they change is read back into it.
//!    Last, labels of [`selinux`], where a policy is there.
//! 5. [`audit`]: nothing of stage0, no library missing, no login without credentials that the definition gives.
//! 6. [`layers`]: which files are in which layer of a container; [`write`](mod@write): the tree as tar, cpio ([`rootfs`]), OCI image,
//!    EROFS, ext4; [`disk`]: root file system → unified kernel image →
//!    EFI system partition → partition table → raw; [`formats`]: qcow2, VHD and VHDX of it.
//!    Then what is said of them: [`lock`](mod@lock), bills of materials, and signed [`provenance`], of what the packages' [`origin`] tells.
//! 7. [`layout`]: a finished container, read back; [`join`]: those of several architectures as one; [`registry`]: to and from registries.
//! 8. [`boot`]: the disk in QEMU, and the image's checks inside ([`agent`]), or a user of its own ([`seed`]).
//!
//! Beside the flow, [`convert`](mod@convert) makes any format of a disk of any other ([`read`]), [`inspect`](mod@inspect)
//! tells what is in one, [`describe`](mod@describe) what a page should say of one, and [`verify`](mod@verify) checks a finished image.
//!
//! Invariants: every output is a function of packages, definition, key and stage0: two runs give the same bytes. No
//! root, loop device or mount. A half-made image is never visible under its name. An image that fails an audit is
//! not written.
//!
//! Never: a package from elsewhere than the repository, a scriptlet, the clock, the environment; a network, but for [`registry`].
//!
//! | file | owner |
//! |---|---|
//! | `out/images/NAME/NAME.oci/`, `NAME.oci.tar` | [`write::oci`] |
//! | `out/images/NAME/NAME.tar`, `NAME.cpio.zst`, `NAME.cpio.gz`, `NAME.wsl` | [`rootfs`] |
//! | `out/images/NAME/NAME.squashfs`, `NAME.erofs` | `filesystem` |
//! | `out/images/NAME/NAME.iso`, `NAME.pxe.initrd`, `NAME.pxe.efi`, `NAME.ipxe` | `live` |
//! | `out/images/NAME/NAME.raw`, `NAME.qcow2`, `NAME.vmlinuz`, `NAME.initrd` | [`disk`] |
//! | `out/images/NAME/manifest.json`, `SHA256SUMS` | [`manifest`] |
//! | `out/images/NAME/image.lock`; that of the tree | [`lock`](mod@lock) |
//! | `out/images/NAME/NAME.spdx.json`, `NAME.cdx.json` | `bill` |
//! | `out/images/NAME/NAME.intoto.jsonl` | [`provenance`] |
//! | `out/images/NAME/console-MODE.log`, `test-MODE.json` | [`boot`] |

pub mod accounts;
pub mod agent;
pub mod audit;
mod bill;
pub mod boot;
mod build;
mod caps;
mod check;
pub mod compose;
mod container;
pub mod convert;
pub mod describe;
pub mod disk;
mod error;
pub mod files;
mod filesystem;
pub mod finalise;
pub mod formats;
mod fresh;
mod fstab;
mod inputs;
pub mod inspect;
pub mod join;
mod kernel;
mod key;
pub mod layers;
pub mod layout;
pub mod left_out;
mod live;
pub mod lock;
pub mod manifest;
pub mod origin;
mod partitions;
mod presets;
pub mod provenance;
pub mod read;
pub mod registry;
pub mod resolve;
pub mod rootfs;
pub mod scripts;
pub mod seed;
pub mod selinux;
mod session;
mod stage;
mod stale;
mod tmpfiles;
pub mod tools;
pub mod tree;
pub mod verify;
pub mod write;
pub mod wsl;

pub use boot::{boot, test};
pub use build::{Candidate, Request, make};
pub use check::{Checked, Difference};
pub use error::Error;
pub use manifest::Built;
pub use origin::{Material, Origin, Origins, Source};
pub use stage::{Ingredients, Record, build, check, existing, of_folder};
pub use stale::changed;
