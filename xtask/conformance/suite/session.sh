#!/bin/bash
# session.sh WORK DATA MACROS KEEL SELF STEPS: the steps of one case, in a root of this machine's /usr and /etc that forgets everything.
# Run by `unshare` as root of its own mount and pid namespaces. The results are WORK/{out,err,status}.N.
set -eu
work=$1 data=$2 macros=$3 keel=$4 self=$5 steps=$6
mount --make-rprivate /
mount -t tmpfs suite "$work/root"
cd "$work/root"
mkdir -p layers/{etc,usr,rpm}-{upper,work} tree/{usr,etc,proc,dev,suite,data,build,opt,root,tmp,var/tmp,var/lib/rpm}
cp -a /bin /sbin /lib* tree/
layer() { mount -t overlay suite -o "lowerdir=$2,upperdir=$PWD/layers/$1-upper,workdir=$PWD/layers/$1-work" "tree/$3"; }
layer usr /usr usr
layer etc /etc etc
mkdir -p tree/usr/lib/rpm
layer rpm "$macros" usr/lib/rpm
mkdir -p tree/usr/lib/rpm/{lua,macros.d}
printf '%s\n' '%_buildhost testhost' '%_topdir /build' '%_tmppath /var/tmp' >tree/usr/lib/rpm/macros.d/macros.testenv
mount -t proc proc tree/proc
mount --rbind /dev tree/dev
mount --bind "$work" tree/suite
mount --bind "$data" tree/data
mount --bind "$keel" tree/suite/keel
mount --bind "$self" tree/suite/self
ln -sfn ../data/SOURCES tree/build/SOURCES
for name in rpmuncompress rpmdeps elfdeps; do ln -sf /suite/self "tree/usr/lib/rpm/$name"; done
[ ! -e "$data/macros.testfile" ] || cp "$data/macros.testfile" tree/usr/lib/rpm/macros.d/macros.testfile
cat >tree/root/functions <<'F'
runroot() {
    local set=()
    cd_to=/
    while :; do
        case $1 in
            --setenv) set+=("$2=$3"); shift 3 ;;
            --chdir) cd_to=$2; shift 2 ;;
            *) break ;;
        esac
    done
    (cd / && cd "$cd_to" && env "${set[@]}" "$@")
}
runroot_other() { runroot "$@"; }
run() { "$@"; }
rundebug() { "$@"; }
F
for ((step = 0; step < steps; step++)); do
    status=0
    env -i PATH=/suite/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root TZ=UTC LC_ALL=C.UTF-8 RPMTEST=/ RPMDATA=/data \
        RPM_CONFIGDIR=/usr/lib/rpm RPM_CONFIGDIR_PATH=/usr/lib/rpm TOPDIR=/build KEEL_PRETEND_NOT="/suite/not.$step" \
        KEEL_PRETEND_ARGS="$KEEL_PRETEND_ARGS" ${KEEL_PRETEND_REAL:+KEEL_PRETEND_REAL="$KEEL_PRETEND_REAL"} \
        timeout 30 chroot tree /bin/bash -c 'cd /suite/cwd; . /root/functions; . "/suite/steps/$0"' "$step" \
        </dev/null >"$work/out.$step" 2>"$work/err.$step" || status=$?
    echo "$status" >"$work/status.$step"
done
