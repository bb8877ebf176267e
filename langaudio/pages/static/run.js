"use strict";
// The form is made of what Airflow says of the DAG's parameters, and sent to Airflow's own API: it decides who may.
const form = document.getElementById("run");
if (form) make(form);

async function make(form) {
  const { airflowRoot: root, dag, values } = form.dataset;
  const address = `${root}api/v2/dags/${dag}`;
  const status = document.getElementById("run-status");
  let details;
  try {
    details = await ask(`${address}/details`);
  } catch (error) {
    status.className = "notice bad";
    status.textContent = `Airflow does not tell of the DAG: ${error.message}`;
    return;
  }
  status.textContent = "";
  const fields = new Map();
  const chosen = JSON.parse(values);
  for (const [section, names] of bySection(details.params)) {
    const group = element("fieldset", {}, element("legend", {}, section));
    for (const name of names) {
      const param = details.params[name];
      const field = makeField(name, param, name in chosen ? chosen[name] : param.value);
      fields.set(name, field);
      group.append(field.place);
    }
    form.append(group);
  }
  const note = details.is_paused ? " The DAG is paused: starting it lets it run." : "";
  const start = element("button", { type: "submit", className: "primary" }, "Start");
  form.append(element("p", { className: "actions" }, start, element("span", { className: "quiet" }, note)));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    start.disabled = true;
    try {
      const conf = Object.fromEntries([...fields].map(([name, field]) => [name, field.read()]));
      if (details.is_paused) await ask(address, "PATCH", { is_paused: false });
      const run = await ask(`${address}/dagRuns`, "POST", { logical_date: null, conf });
      status.className = "notice good";
      status.textContent = "Started. ";
      const place = new URL(`${root}dags/${dag}/runs/${encodeURIComponent(run.dag_run_id)}`, location.href).href;
      status.append(element("a", { href: place }, "See the run in Airflow"));
      status.querySelector("a").dataset.airflow = "";
      window.langaudio.goto(place, false);
    } catch (error) {
      start.disabled = false;
      status.className = "notice bad";
      status.textContent = error.message;
      status.scrollIntoView({ block: "nearest" });
    }
  });
}

async function ask(address, method = "GET", body = undefined) {
  const answer = await fetch(address, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  const told = text.startsWith("{") ? JSON.parse(text) : { detail: text };
  if (answer.ok) return told;
  const detail = typeof told.detail === "string" ? told.detail : JSON.stringify(told.detail);
  throw new Error(`Airflow answers ${answer.status}: ${detail}`);
}

function bySection(params) {
  const sections = new Map();
  for (const name of Object.keys(params)) {
    const section = params[name].schema.section ?? "Other";
    sections.set(section, [...(sections.get(section) ?? []), name]);
  }
  return sections;
}

function makeField(name, param, value) {
  const schema = param.schema;
  const id = `field-${name}`;
  const types = [schema.type ?? "string"].flat();
  const help = element("p", { className: "help", id: `${id}-help` }, schema.description ?? param.description ?? "");
  let input;
  let read;
  if (types.includes("boolean")) {
    input = element("input", { type: "checkbox", checked: Boolean(value) });
    read = () => input.checked;
  } else if (types.includes("array")) {
    input = choices(schema.examples ?? [], schema.values_display ?? {}, value ?? [], true);
    input.size = 8;
    read = () => [...input.selectedOptions].map((option) => option.value);
  } else if (schema.enum) {
    input = choices(schema.enum, schema.values_display ?? {}, [value], false);
    read = () => schema.enum[input.selectedIndex];
  } else if (types.includes("integer") || types.includes("number")) {
    input = element("input", { type: "number", value: value ?? "", step: types.includes("integer") ? "1" : "any" });
    if (schema.minimum !== undefined) input.min = schema.minimum;
    if (schema.maximum !== undefined) input.max = schema.maximum;
    input.required = !types.includes("null");
    read = () => (input.value === "" ? null : Number(input.value));
  } else {
    input = element("input", { type: "text", value: value ?? "" });
    input.required = !types.includes("null");
    read = () => (input.value === "" && types.includes("null") ? null : input.value);
    if (schema.examples) addExamples(input, id, schema.examples);
  }
  input.id = id;
  input.name = name;
  input.setAttribute("aria-describedby", help.id);
  const label = element("label", { htmlFor: id }, schema.title ?? name);
  return { place: element("div", { className: "field" }, label, input, help), read };
}

function choices(values, names, chosen, multiple) {
  const picked = new Set(chosen);
  // What is chosen comes first, so that it is seen without scrolling.
  const ordered = multiple ? [...values.filter((one) => picked.has(one)), ...values.filter((one) => !picked.has(one))] : values;
  const options = ordered.map((one) => element("option", { value: one, selected: picked.has(one) }, names[one] ?? String(one)));
  return element("select", { multiple }, ...options);
}

function addExamples(input, id, examples) {
  const list = element("datalist", { id: `${id}-examples` }, ...examples.map((one) => element("option", { value: one })));
  input.setAttribute("list", list.id);
  document.body.append(list);
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
