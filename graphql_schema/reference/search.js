// Finds types, fields, arguments and values by the words of their names and descriptions. The page reads without it.
"use strict";
{
  const MOST = 30;
  const bar = document.getElementById("search");
  const input = document.getElementById("find");
  const found = document.getElementById("found");
  const status = document.getElementById("status");
  let entries;

  const read = () =>
    [...document.querySelectorAll("main [id]")].map((element) => {
      const holder = element.matches("dt") ? element.nextElementSibling : element;
      const text = holder.querySelector("p")?.textContent ?? "";
      const name = element.dataset.name ?? element.id;
      const own = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
      return { id: element.id, name, own, text, all: `${name} ${text}`.toLowerCase() };
    });

  const rank = (entry, words) => {
    const name = entry.name.toLowerCase();
    if (entry.own === words.join("") || name === words.join("")) return 0;
    if (!words.every((word) => name.includes(word))) return 3;
    return entry.own.startsWith(words[0]) || name.startsWith(words[0]) ? 1 : 2;
  };

  const item = (entry) => {
    const link = document.createElement("a");
    const text = document.createElement("small");
    link.href = `#${entry.id}`;
    link.textContent = entry.name;
    text.textContent = entry.text;
    link.append(text);
    const row = document.createElement("li");
    row.append(link);
    return row;
  };

  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return close();
    entries ??= read();
    const hits = entries.filter((entry) => words.every((word) => entry.all.includes(word)));
    const ranked = hits.map((entry) => [rank(entry, words), entry]);
    ranked.sort(([a, one], [b, other]) => a - b || one.name.length - other.name.length);
    found.replaceChildren(...ranked.slice(0, MOST).map(([, entry]) => item(entry)));
    status.textContent = `${hits.length} found${hits.length > MOST ? `, the first ${MOST} listed` : ""}`;
  };

  const close = () => {
    found.replaceChildren();
    status.textContent = "";
  };

  const move = (step) => {
    const links = [...found.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement) + step;
    (links[at] ?? (at < 0 ? input : links.at(-1)))?.focus();
  };

  bar.hidden = false;
  input.addEventListener("input", search);
  bar.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" && event.target === input) found.querySelector("a")?.click();
    else if (event.key === "Escape") {
      input.value = "";
      close();
      input.focus();
    } else return;
    event.preventDefault();
  });
  found.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    close();
    input.blur();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
}
