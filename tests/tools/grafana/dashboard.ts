// A dashboard as JSON, in the types that Grafana itself is built with.
//
// In: @grafana/schema. Out: the type `Json<Dashboard>` that a dashboard's text has to have, panel options included.
// It says nothing about queries: those are tried on a real Prometheus.
import type { Dashboard as Grafana, DataSourceRef, FieldConfig, Panel, RowPanel } from '@grafana/schema';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as TableField,
  Options as Table,
} from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type {
  FieldConfig as TimeSeriesField,
  Options as TimeSeries,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** In JSON a member of an enum is its value. */
export type Json<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer Value extends number}`
      ? Value
      : T
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T;

/** Grafana leaves these open to each panel's plugin; here they are closed. */
type Closed<Type extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Type;
  options: Options;
  fieldConfig: {
    defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom };
    overrides: NonNullable<Panel['fieldConfig']>['overrides'];
  };
  targets: PrometheusQuery[];
};

/** The Prometheus plugin's query; the package has no type of it. */
interface PrometheusQuery {
  refId: string;
  datasource: DataSourceRef;
  editorMode: 'code';
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
  format?: 'table';
}

export type Dashboard = Omit<Grafana, 'panels'> & {
  panels: Array<
    | RowPanel
    | Closed<'stat', Stat, never>
    | Closed<'table', Table, Partial<TableField>>
    | Closed<'timeseries', TimeSeries, TimeSeriesField>
  >;
};
