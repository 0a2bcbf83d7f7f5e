"""The citizen's web inbox: pages over the functions that the API calls too."""
