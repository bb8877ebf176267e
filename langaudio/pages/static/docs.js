"use strict";
const place = document.getElementById("swagger");
window.SwaggerUIBundle({ url: place.dataset.openapi, domNode: place, deepLinking: false, validatorUrl: null });
