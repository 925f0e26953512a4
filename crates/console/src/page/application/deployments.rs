//! The history of deployments, the newest first.

use ithaca_api::status::RevisionHistory;
use maud::{Markup, html};

use crate::page::{applications::revisions, badge};

pub fn deployments(history: &[RevisionHistory]) -> Markup {
    html! {
        section.card aria-labelledby="history-title" {
            h2 #history-title { "History" }
            @if history.is_empty() { p.none { "Nothing was deployed yet." } }
            @else {
                table.history {
                    thead { tr {
                        th scope="col" { "Revision" }
                        th scope="col" { "Deployed" }
                        th scope="col" { "By" }
                    } }
                    tbody {
                        @for deployment in history.iter().rev() {
                            @let by = &deployment.initiated_by;
                            tr {
                                td.revision { (revisions(&ithaca_api::status::one_or_several(&deployment.revision, &deployment.revisions))) }
                                td { (badge::moment(deployment.deployed_at)) }
                                td.dim { (if by.automated || by.username.is_empty() { "automation" } else { &by.username }) }
                            }
                        }
                    }
                }
            }
        }
    }
}
