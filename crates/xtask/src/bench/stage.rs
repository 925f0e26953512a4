//! The stack that a scenario is measured on.
//!
//! In: the options of every scenario, and what is measured. Out: its report, with the stack stopped again, whatever came of
//! it.

use ithaca_tests::{Options, Progress, Stack, Tools};

use super::SharedArgs;
use crate::prerequisites;

/// Starts a fresh stack with so many nodes, measures, and stops it.
pub async fn on_stack<R>(
    shared: &SharedArgs,
    nodes: usize,
    measure: impl AsyncFnOnce(&Stack, &Progress) -> anyhow::Result<R>,
) -> anyhow::Result<R> {
    prerequisites::to_build()?;
    let progress = Progress::shown();
    let tools = Tools::build(&progress)?;
    let binary = shared.binary(&progress)?;
    ithaca_tests::empty(&shared.dir)?;
    let options = Options {
        dir: shared.dir.clone(),
        nodes,
        kubeconfig: None,
        binary: Some(binary),
        appliers: 1,
        for_tests: false,
    };
    let stack = Stack::start(options, tools, &progress).await?;
    stack.record().write(&stack.dir)?;
    let report = measure(&stack, &progress).await;
    progress.finish();
    stack.stop().await?;
    report
}
