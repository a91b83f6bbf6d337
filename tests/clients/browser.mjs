// A real Chromium with a fresh profile: SELVEDGE_CHROMIUM, or the one in npm's @sparticuz/chromium (Linux on x86-64), or
// one that is installed here.
import { spawnSync } from "node:child_process";
import { chmodSync, createReadStream, createWriteStream, existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createBrotliDecompress } from "node:zlib";
import { chromium } from "playwright-core";

const modules = join(dirname(fileURLToPath(import.meta.url)), "node_modules");
const packed = join(modules, "@sparticuz/chromium/bin");
const INSTALLED = [
  "/usr/bin/chromium",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
// What a program of ours must not do: ask the network anything but what the page asks.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function launch(...flags) {
  const { executablePath, env } = await findBrowser();
  return chromium.launch({ executablePath, env, headless: true, args: [...FLAGS, ...flags] });
}

async function findBrowser() {
  if (process.env.SELVEDGE_CHROMIUM) return { executablePath: process.env.SELVEDGE_CHROMIUM };
  if (process.platform === "linux" && process.arch === "x64") return unpacked();
  const executablePath = INSTALLED.find(existsSync);
  if (executablePath) return { executablePath };
  throw new Error("there is no browser here: install Chromium or Chrome, or name one in SELVEDGE_CHROMIUM");
}

async function unpacked() {
  const folder = join(modules, ".chromium");
  if (!existsSync(folder)) await unpack(folder);
  const executablePath = join(folder, "chromium");
  // It brings the few libraries that a machine without a desktop may lack; those of the machine come first.
  if (runs(executablePath, process.env)) return { executablePath };
  const env = { ...process.env, LD_LIBRARY_PATH: join(folder, "lib") };
  if (runs(executablePath, env)) return { executablePath, env };
  throw new Error(`${executablePath} does not run: ${spawnSync(executablePath, ["--version"], { env }).stderr}`);
}

const runs = (program, env) => spawnSync(program, ["--version"], { env }).status === 0;

// Somewhere else first, and then moved as a whole: two scripts may start at once.
async function unpack(folder) {
  const beside = mkdtempSync(`${folder}-`);
  const inflate = (name, to) => pipeline(createReadStream(join(packed, name)), createBrotliDecompress(), createWriteStream(to));
  await inflate("chromium.br", join(beside, "chromium"));
  chmodSync(join(beside, "chromium"), 0o755);
  await inflate("al2023.tar.br", join(beside, "lib.tar"));
  const tar = spawnSync("tar", ["-xf", "lib.tar"], { cwd: beside });
  if (tar.status !== 0) throw new Error(`tar: ${tar.error ?? tar.stderr}`);
  rmSync(join(beside, "lib.tar"));
  try {
    renameSync(beside, folder);
  } catch (error) {
    rmSync(beside, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
}
