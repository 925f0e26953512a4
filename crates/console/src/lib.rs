//! The web page and the REST interface.

/// Arguments of `ithaca console`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub chassis: ithaca_chassis::Args,
}

/// Serves.
pub async fn run(_: Args, _: ithaca_chassis::Process) -> anyhow::Result<()> {
    Ok(())
}
