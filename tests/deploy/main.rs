//! What an operator gets from `deploy/` and `compose.yaml`, each tried by the program that will read it.
//!
//! In: the built binary, the programs of `tests/tools`, `tests/tools/checks` and `tests/tools/ansible`. Out: verdicts.
//! No container runs here: what can be proven without one is.

mod alerts;
mod ansible;
mod bootstrap;
mod bus;
mod compose;
mod dashboards;
mod grafana;
mod happenings;
mod image;
mod install;
mod measured;
mod refuses;
mod rights;
mod schemas;
mod self_management;
mod template;
mod values;
