//! What `deploy/image/Dockerfile` says about an image.
//!
//! In: the file, read by a parser of the language. Out: the configuration of a target, and the programs in its layers.
//! An instruction of a final stage that is not known here is an error: nothing the file says is left out.

use anyhow::{Context, bail, ensure};
use ithaca_tests::repository_root;
use parse_dockerfile::{Command, CopyInstruction, Dockerfile, Instruction, Stage, parse};

/// One target, with what it takes from the target that it stands on.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// By number: `65532:65532`.
    pub user: String,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// `name=value`.
    pub labels: Vec<String>,
    /// Ports that it says it listens on.
    pub ports: Vec<String>,
    /// For each layer, the programs that its root filesystem is put together from.
    pub layers: Vec<Vec<String>>,
}

impl Image {
    /// What the file says of a target.
    pub fn of(target: &str) -> anyhow::Result<Self> {
        let text = text()?;
        Self::read(&parse(&text)?, target)
    }

    fn read(file: &Dockerfile<'_>, target: &str) -> anyhow::Result<Self> {
        let stage = file.stage(target).with_context(|| format!("the Dockerfile has no target {target}"))?;
        let mut image = match stage.from.image.value.as_ref() {
            "scratch" => Self::default(),
            other => Self::read(file, other)?,
        };
        for instruction in stage.instructions {
            image.follow(file, instruction).with_context(|| format!("in target {target}"))?;
        }
        Ok(image)
    }

    fn follow(&mut self, file: &Dockerfile<'_>, instruction: &Instruction<'_>) -> anyhow::Result<()> {
        match instruction {
            Instruction::User(user) => self.user = user.arguments.value.to_string(),
            Instruction::Entrypoint(entrypoint) => {
                let Command::Exec(words) = &entrypoint.arguments else {
                    bail!("ENTRYPOINT asks for a shell, which the image does not hold");
                };
                self.entrypoint = words.value.iter().map(|word| word.value.to_string()).collect();
            }
            Instruction::Env(variables) => self.environment.extend(words(&variables.arguments.value)?),
            Instruction::Label(labels) => self.labels.extend(words(&labels.arguments.value)?),
            Instruction::Expose(ports) => {
                self.ports.extend(ports.arguments.iter().map(|port| port.value.to_string()));
            }
            Instruction::Copy(copy) => self.layers.push(programs(file, copy)?),
            other => bail!("the test does not know what to do with {other:?}"),
        }
        Ok(())
    }
}

/// The file's text.
pub fn text() -> anyhow::Result<String> {
    let path = repository_root().join("deploy/image/Dockerfile");
    std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
}

/// The names of the programs that `root.sh` is given in the stage that is copied from.
fn programs(file: &Dockerfile<'_>, copy: &CopyInstruction<'_>) -> anyhow::Result<Vec<String>> {
    let from = copy.options.iter().find(|option| option.name.value == "from");
    let from = from.and_then(|option| option.value.as_ref()).context("COPY without --from")?;
    ensure!(copy.dest.value == "/", "{} is copied to {}", from.value, copy.dest.value);
    let stage = file.stage(&from.value).with_context(|| format!("no stage {}", from.value))?;
    let command = command(&stage)?;
    let arguments =
        command.split("/root.sh /image").nth(1).with_context(|| format!("no root.sh in {command}"))?;
    Ok(arguments.split_whitespace().filter_map(|path| path.rsplit('/').next()).map(str::to_owned).collect())
}

/// The last command that a stage runs.
fn command<'a>(stage: &Stage<'a, '_>) -> anyhow::Result<&'a str> {
    let mut commands = stage.instructions.iter().filter_map(|instruction| match instruction {
        Instruction::Run(run) => match &run.arguments {
            Command::Shell(text) => Some(text.value),
            _ => None,
        },
        _ => None,
    });
    commands.next_back().context("the stage runs nothing")
}

fn words(text: &str) -> anyhow::Result<Vec<String>> {
    shlex::split(text).with_context(|| format!("failed to read {text}"))
}
