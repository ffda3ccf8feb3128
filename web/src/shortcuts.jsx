// Everything a lead does here has a key. Alt with a letter works from inside the editors too, where Tab indents.
import { formatShortcutForOS, pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { Kind, parse } from "graphql";
import { useEffect } from "react";

export const KEYS = [
  [formatShortcutForOS("Ctrl-Enter", "Cmd"), "Run the operation (with several: the one at the cursor)"],
  ["Alt-N", "Next tab"],
  ["Alt-P", "Previous tab"],
  ["Alt-R", "Choose the role (in development)"],
  ["Alt-Q", "Go to the operation"],
  ["Alt-I", "Go to the variables"],
  ["Alt-H", "Go to the headers"],
  ["Alt-A", "Go to the answer"],
  ["Ctrl-M", "Inside an editor: let Tab move on instead of indenting"],
  ["Shift-Ctrl-P", "Tidy the operation"],
  ["Shift-Ctrl-R", "Fetch the schema again"],
];

/** Listens as long as the page is open; draws nothing. */
export function Shortcuts() {
  const { run, changeTab, setOperationFacts } = useGraphiQLActions();
  const { tabs, activeTabIndex, queryEditor, variableEditor, headerEditor, responseEditor } = useGraphiQL(
    pick("tabs", "activeTabIndex", "queryEditor", "variableEditor", "headerEditor", "responseEditor"),
  );

  useEffect(() => {
    const step = (by) => {
      const index = (activeTabIndex + by + tabs.length) % tabs.length;
      changeTab(index);
      setOperationFacts(factsOf(tabs[index].query)); // GraphiQL notices later; a fast run would ask for the old tab's
    };
    const actions = {
      KeyN: () => step(1),
      KeyP: () => step(-1),
      KeyR: () => document.getElementById("role")?.focus(),
      KeyQ: () => queryEditor?.focus(),
      KeyI: () => openPane("variables", variableEditor),
      KeyH: () => openPane("headers", headerEditor),
      KeyA: () => responseEditor?.focus(),
    };
    // Before the editors see it: they bind some of these, and Alt types special characters on a Mac.
    const onAlt = (event) => {
      const action = event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey && actions[event.code];
      if (!action) return;
      event.preventDefault();
      event.stopPropagation();
      action();
    };
    // After them: inside an editor the key runs the operation at the cursor.
    const onRun = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) run();
    };
    window.addEventListener("keydown", onAlt, true);
    window.addEventListener("keydown", onRun);
    return () => {
      window.removeEventListener("keydown", onAlt, true);
      window.removeEventListener("keydown", onRun);
    };
  });

  return null;
}

function factsOf(query) {
  let documentAST;
  try {
    documentAST = parse(query);
  } catch {
    return {}; // an empty or unfinished operation
  }
  const operations = documentAST.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  return { documentAST, operations, operationName: operations[0]?.name?.value };
}

function openPane(name, editor) {
  document.querySelector(`.graphiql-editor-tools [data-name="${name}"]`)?.click();
  requestAnimationFrame(() => editor?.focus());
}
