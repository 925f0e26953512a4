//! What `up` prints at its end: what to open, and what to try.

use std::path::Path;

use ithaca_tests::Record;

/// The name of the sample repository on the Git server.
pub const SAMPLE: &str = "sample";

/// Where the root Application comes from.
pub enum Root {
    /// There is none.
    None,
    /// The sample repository.
    Sample,
    /// Somebody's own repository.
    Own {
        /// Its address.
        url: String,
        /// The folder that is applied.
        path: String,
    },
}

/// The text for a stack that runs in `dir`.
pub fn text(record: &Record, dir: &Path, root: &Root) -> String {
    let console = record.console.as_deref().unwrap_or("not started");
    let kubeconfig = record.kubeconfig.display();
    let tools = record.tools.display();
    let logs = dir.join("logs");
    let logs = logs.display();
    let webhook = record.webhook.as_deref().unwrap_or("not started");
    let git = &record.git;
    let head = format!(
        "
Ithaca is up.

  Web page    {console}
  Webhook     {webhook}
  Git         {git}/NAME.git (a push creates it)
  Logs        {logs}

  export KUBECONFIG={kubeconfig}
  export PATH={tools}:$PATH
"
    );
    format!("{head}{}\n", things_to_try(git, root))
}

fn things_to_try(git: &str, root: &Root) -> String {
    match root {
        Root::None => String::new(),
        Root::Own { url, path } => format!(
            "
The root Application follows {path} of {url}:

  kubectl get applications -n argocd --watch
"
        ),
        Root::Sample => format!(
            "
Try:

  kubectl get applications -n argocd --watch
  git clone {git}/{SAMPLE}.git && cd {SAMPLE}
  sed -i 's/tag: .*/tag: \"2.8.0\"/' lab/website/values-home.yaml
  git commit -am 'Raise the website to 2.8.0' && git push
  kubectl get deployment -n website website -o wide
  kubectl delete deployment -n notes notes    # it comes back
  git revert --no-edit HEAD && git push       # and so does 2.7.0
"
        ),
    }
}
