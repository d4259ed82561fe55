//! Generating the clients, and holding them and the programs that use them to their compilers.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{DESCRIPTION, PAGE, examples, node};
use crate::command::{self, Error};
use crate::python;

/// A text with a JSON object in each line is no type that the generator knows.
const EXPECTED_WARNING: &str = "WARNING parsing GET /api/v1/users/me/export within users.";

/// A program that uses a client, and how it is run.
pub(super) struct Program {
    pub(super) name: String,
    pub(super) command: Vec<OsString>,
}

/// Writes the clients and the programs of the page into `folder`, and checks all of it; `None` when something did not
/// pass, which was printed.
pub(super) fn generate(folder: &Path) -> Result<Option<Vec<Program>>, Error> {
    let page = fs::read_to_string(command::root().join(PAGE))?;
    let examples = examples::examples(&page);
    let of_language =
        |ending: &str| examples.iter().filter(|one| one.file.ends_with(ending)).collect::<Vec<_>>();
    let (python, typescript) = (of_language(".py"), of_language(".ts"));
    if python.len() < 2 || typescript.len() < 2 {
        return Err(format!(
            "{PAGE} must have two programs of each language that begin with their file names"
        )
        .into());
    }
    let packages = node::ensure_installed()?;
    if !lint(&packages)? {
        return Ok(None);
    }
    let Some(mut programs) = generate_python(&folder.join("python"), &python)? else { return Ok(None) };
    let Some(more) = generate_typescript(&folder.join("typescript"), &packages, &typescript)? else {
        return Ok(None);
    };
    programs.extend(more);
    Ok(Some(programs))
}

fn description() -> PathBuf {
    command::root().join(DESCRIPTION)
}

fn lint(packages: &Path) -> Result<bool, Error> {
    let mut redocly = from_npm(packages, "redocly");
    redocly.arg("lint").arg(description()).arg("--config").arg(command::root().join("redocly.yaml"));
    redocly.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    passes("redocly lint", redocly.current_dir(command::root()))
}

fn generate_python(folder: &Path, programs: &[&examples::Example]) -> Result<Option<Vec<Program>>, Error> {
    fs::create_dir_all(folder)?;
    let tools = python::with_client_generators()?;
    // The generators format what they write with programs of the same environment.
    let inherited = command::variable("PATH").unwrap_or_default();
    let path = std::env::join_paths([tools.clone()].into_iter().chain(std::env::split_paths(&inherited)))?;
    let tool = |name: &str| {
        let mut tool = Command::new(tools.join(name));
        tool.current_dir(folder).env("PATH", &path);
        tool
    };
    let mut whole = tool("openapi-python-client");
    whole.args(["generate", "--meta", "none", "--output-path", "chatstore_client", "--path"]);
    let Some(printed) = printed_by("openapi-python-client", whole.arg(description()))? else {
        return Ok(None);
    };
    let is_warning =
        |line: &&str| ["WARNING", "ERROR", "Unable to"].iter().any(|word| line.starts_with(word));
    let warnings: Vec<&str> = printed.lines().filter(is_warning).collect();
    if warnings != [EXPECTED_WARNING] {
        eprintln!("{printed}\nclients: openapi-python-client must warn of this alone: {EXPECTED_WARNING}");
        return Ok(None);
    }
    let mut models = tool("datamodel-codegen");
    models.args(["--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel"]);
    models.args(["--use-annotated", "--target-python-version", "3.11"]);
    models.args(["--output", "chatstore_models.py", "--input"]).arg(description());
    if !passes("datamodel-codegen", &mut models)? {
        return Ok(None);
    }
    let mut mypy = tool("mypy");
    mypy.arg("--config-file").arg(command::root().join("xtask/clients/mypy.ini"));
    mypy.args(["--no-error-summary", "chatstore_client", "chatstore_models.py"]);
    for program in programs {
        fs::write(folder.join(&program.file), &program.text)?;
        mypy.arg(&program.file);
    }
    if !passes("mypy --strict", &mut mypy)? {
        return Ok(None);
    }
    Ok(Some(
        programs.iter().map(|program| run_by(tools.join("python"), folder.join(&program.file))).collect(),
    ))
}

fn generate_typescript(
    folder: &Path,
    packages: &Path,
    programs: &[&examples::Example],
) -> Result<Option<Vec<Program>>, Error> {
    fs::create_dir_all(folder)?;
    for file in ["package.json", "tsconfig.json", "openapi-ts.config.mjs"] {
        fs::copy(command::root().join("xtask/clients").join(file), folder.join(file))?;
    }
    // Programs find packages beside themselves.
    std::os::unix::fs::symlink(packages.join("node_modules"), folder.join("node_modules"))?;
    let mut types = from_npm(packages, "openapi-typescript");
    types.current_dir(folder).arg(description()).args(["--output", "chatstore.ts"]);
    if !passes("openapi-typescript", &mut types)? {
        return Ok(None);
    }
    let mut whole = from_npm(packages, "openapi-ts");
    whole.current_dir(folder).env("DESCRIPTION", description());
    if !passes("@hey-api/openapi-ts", &mut whole)? {
        return Ok(None);
    }
    for program in programs {
        fs::write(folder.join(&program.file), &program.text)?;
    }
    if !passes("tsc --strict", from_npm(packages, "tsc").current_dir(folder).args(["--project", "."]))? {
        return Ok(None);
    }
    let built = |program: &&examples::Example| {
        let built = Path::new(&program.file).with_extension("js");
        run_by("node".into(), folder.join("built").join(built))
    };
    Ok(Some(programs.iter().map(built).collect()))
}

fn from_npm(packages: &Path, program: &str) -> Command {
    Command::new(packages.join("node_modules/.bin").join(program))
}

fn run_by(interpreter: PathBuf, file: PathBuf) -> Program {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Program { name, command: vec![interpreter.into(), file.into()] }
}

/// Runs a step, and shows what it printed only if it failed.
fn passes(step: &str, command: &mut Command) -> Result<bool, Error> {
    Ok(printed_by(step, command)?.is_some())
}

/// The same with what it printed; `None` if it failed.
fn printed_by(step: &str, command: &mut Command) -> Result<Option<String>, Error> {
    eprintln!("clients: {step}");
    let output = command.output().map_err(|error| command::cannot_run(command, &error))?;
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(Some(printed));
    }
    eprintln!("{printed}\nclients: {step} failed");
    Ok(None)
}
