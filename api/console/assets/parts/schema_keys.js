// Which keys a JSON schema allows at a place in a YAML text.

/** Keys for a line indented by `indent` after `lines`: `[{ name, description }]`. */
export function keysAt(schema, lines, indent) {
  let found = schema;
  for (const key of pathTo(lines, indent)) {
    found = child(schema, resolved(schema, found), key);
    if (!found) return [];
  }
  return keysOf(schema, found);
}

/** The keys that enclose a line with `indent`: walks up to lines that are indented less. */
function pathTo(lines, indent) {
  const path = [];
  let limit = indent;
  for (let index = lines.length - 1; index >= 0 && limit > 0; index--) {
    const match = lines[index].match(/^(\s*(?:-\s+)*)([\w$.*-]+):(.*)$/);
    if (!match || match[1].length >= limit) continue;
    limit = match[1].length;
    path.unshift(match[2]);
  }
  return path;
}

function child(schema, parent, key) {
  for (const option of variants(schema, parent)) {
    const found = option.properties?.[key] ?? (typeof option.additionalProperties === "object" ? option.additionalProperties : undefined);
    if (found) return found;
  }
  return null;
}

function keysOf(schema, place) {
  const keys = new Map();
  for (const option of variants(schema, resolved(schema, place))) {
    for (const [name, value] of Object.entries(option.properties ?? {})) keys.set(name, { name, description: resolved(schema, value).description ?? "" });
  }
  return [...keys.values()];
}

/** A schema itself, its alternatives, and the items of a list: YAML's indentation does not tell them apart. */
function variants(schema, place) {
  const found = [];
  const pending = [place];
  while (pending.length) {
    const each = resolved(schema, pending.pop());
    if (!each || found.includes(each)) continue;
    found.push(each);
    pending.push(...(each.anyOf ?? []), ...(each.oneOf ?? []), ...(each.allOf ?? []));
    if (each.items) pending.push(each.items);
  }
  return found;
}

function resolved(schema, place) {
  if (!place?.$ref) return place;
  return place.$ref.replace(/^#\//, "").split("/").reduce((at, name) => at?.[name], schema);
}
