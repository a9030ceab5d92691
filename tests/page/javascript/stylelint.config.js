export default {
  extends: "stylelint-config-standard",
  rules: {
    // Values of one kind stand together, with a blank line between the kinds.
    "custom-property-empty-line-before": null,
    "no-descending-specificity": null,
    // Names of fonts are proper names.
    "value-keyword-case": ["lower", { ignoreKeywords: ["Roboto", "Ubuntu"] }],
  },
};
