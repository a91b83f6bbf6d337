//! Where each npm tool's program is.

use std::path::PathBuf;

use super::{
    command::Tool,
    platform::{Platform, PostgresLine},
};
use crate::{
    checkout::Checkout,
    error::{Error, Result},
};

/// The programs in `node_modules`, called directly: no wrapper script, no download at first run.
#[derive(Debug, Clone)]
pub struct Toolbox {
    checkout: Checkout,
    platform: Platform,
}

impl Toolbox {
    /// The tools of a checkout.
    pub fn new(checkout: &Checkout) -> Result<Self> {
        Ok(Self { checkout: checkout.clone(), platform: Platform::this()? })
    }

    fn program(&self, below: &str) -> Result<PathBuf> {
        let path = self.checkout.path("node_modules").join(below);
        if path.exists() {
            return Ok(path);
        }
        let what = format!("{} is missing", path.display());
        Err(Error::new(what).cure("rm -rf node_modules, then the same command again"))
    }

    /// Deno.
    pub fn deno(&self) -> Result<PathBuf> {
        self.program(&self.platform.deno())
    }

    /// workerd.
    pub fn workerd(&self) -> Result<PathBuf> {
        self.program(&self.platform.workerd())
    }

    /// The Supabase CLI, quiet about itself.
    pub fn supabase(&self) -> Result<Tool> {
        let tool = Tool::new(self.program(&self.platform.supabase())?, self.checkout.root());
        Ok(tool.env("SUPABASE_TELEMETRY_DISABLED", "1").env("DO_NOT_TRACK", "1"))
    }

    /// PostgREST: `POSTGREST_BIN`, or npm's.
    pub fn postgrest(&self) -> Result<PathBuf> {
        match std::env::var_os("POSTGREST_BIN") {
            None => self.program(&self.platform.postgrest()),
            Some(path) => {
                let path = PathBuf::from(path);
                let found = if path.is_file() { Some(path.clone()) } else { None };
                found.ok_or_else(|| Error::new(format!("POSTGREST_BIN is {}, which is no file", path.display())))
            }
        }
    }

    /// The folder with PostgreSQL's `bin`, `lib` and `share`.
    pub fn postgres(&self, line: PostgresLine) -> Result<PathBuf> {
        self.program(&format!("{}/native", self.platform.postgres(line)))
    }

    /// binaryen's optimiser.
    pub fn wasm_opt(&self) -> Result<Tool> {
        Ok(Tool::new("node", self.checkout.root()).arg(self.program("binaryen/bin/wasm-opt")?))
    }

    /// esbuild, wrangler's own bundler.
    pub fn esbuild(&self) -> Result<Tool> {
        Ok(Tool::new(self.program(&self.platform.esbuild())?, self.checkout.root()))
    }

    /// wrangler, offline and quiet about itself.
    pub fn wrangler(&self) -> Result<Tool> {
        let tool = Tool::new("node", self.checkout.root()).arg(self.program("wrangler/bin/wrangler.js")?);
        Ok(tool.env("WRANGLER_SEND_METRICS", "false").env("CI", "1"))
    }
}
